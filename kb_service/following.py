"""Tells this process's memory what other processes of the service have changed."""

import asyncio

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import ChunkEdit
from kb_service.indexer import unpack
from kb_service.library import Library
from kb_service.overlays import hidden_by
from kb_service.repeating import repeat
from kb_service.sharing import Sharing
from kb_service.store import ChangeStore, KbState


class Follower:
    def __init__(
        self, changes: ChangeStore, catalog: LiveCatalog, library: Library, sharing: Sharing
    ) -> None:
        self._changes, self._catalog, self._library = changes, catalog, library
        self._sharing = sharing
        self._behind: set[int] | None = set()
        self._shown: dict[int, dict[int, tuple[int, str]]] = {}

    async def begin(self) -> None:
        """Before the catalog and the library are read."""
        await self._changes.begin()

    async def run(self) -> None:
        """For as long as the service runs; a search asks the memory alone."""
        if self._sharing.look_every:
            await repeat(self.once, every=self._sharing.look_every)

    async def once(self) -> None:
        news = await self._changes.news()
        # Kept until it is caught up with: no news comes twice, and any of this may fail.
        self._behind = None if news is None or self._behind is None else self._behind | news
        if self._behind is None:
            self._behind = await self._library.ids()
        for kb_id in tuple(self._behind):
            await self._catch_up(kb_id)
            self._behind.remove(kb_id)

    async def _catch_up(self, kb_id: int) -> None:
        if not await self._library.read_again(kb_id):
            self._catalog.drop(kb_id)
            self._shown.pop(kb_id, None)
            return
        async with self._catalog.flips:
            state = await self._changes.state_of(kb_id, self._catalog.live(kb_id))
            counts = [await asyncio.to_thread(unpack, one.term_counts) for one in state.new]
            edits = self._not_shown(kb_id, state)
            hidden = [await hidden_by(edit) for _, edit in edits]
            # From here on nothing is waited for: no search sees a part of it.
            for live, term_counts in zip(state.new, counts, strict=True):
                self._catalog.publish(
                    kb_id,
                    live.id,
                    term_counts=term_counts,
                    chunks=live.chunks,
                    collection=live.collection,
                )
            for gone in self._catalog.live(kb_id) - state.versions:
                self._catalog.withdraw(kb_id, gone)
            for (version, edit), one in zip(edits, hidden, strict=True):
                self._catalog.show(version, edit, one)

    def _not_shown(self, kb_id: int, state: KbState) -> list[tuple[str, ChunkEdit]]:
        before = self._shown.get(kb_id, {})
        self._shown[kb_id] = now = {
            edit.id or 0: (edit.number, version) for version, edit in state.edits
        }
        return [
            (version, edit)
            for version, edit in state.edits
            if before.get(edit.id or 0) != now[edit.id or 0]
        ]
