"""Single chunks of a file: listed, edited, switched off and on, added, and each change undone."""

from dataclasses import replace

import anyio

from kb_service.chunk_entities import (
    Chunk,
    ChunkAction,
    ChunkEdit,
    ChunkPage,
    ChunkState,
    Revision,
)
from kb_service.entities import Owner, StoredFile
from kb_service.errors import ChunkChanged, NoSuchChunk, NotDeletable
from kb_service.joining import joined
from kb_service.overlays import Overlays, hidden_by
from kb_service.store import ChunkStore


class Chunks:
    """Every change is one transaction, and answers from then on.

    A chunk of the file has its version and position for an id, and once it was changed the id of
    the edit, which it keeps.
    """

    def __init__(self, store: ChunkStore, overlays: Overlays) -> None:
        self._store, self._overlays = store, overlays

    async def page(
        self,
        file: StoredFile,
        *,
        text: str,
        state: ChunkState | None,
        page: int,
        page_size: int,
    ) -> ChunkPage:
        start = (page - 1) * page_size
        return await self._store.page(
            file.kb_id, file.name, text=text, state=state, start=start, limit=page_size
        )

    async def text(self, file: StoredFile, *, start: int, count: int) -> tuple[str, int | None]:
        """So many chunks as one text, and where to read on; disabled ones are left out."""
        found = await self._store.page(
            file.kb_id, file.name, text="", state=None, start=start, limit=count
        )
        shown = [chunk.content for chunk in found.chunks if chunk.state != "disabled"]
        end = start + len(found.chunks)
        return joined(shown), end if end < found.total else None

    async def change(
        self,
        file: StoredFile,
        chunk_id: str,
        author: Owner,
        *,
        content: str | None,
        is_enabled: bool | None,
    ) -> Chunk:
        """Raises NoSuchChunk or ChunkChanged."""
        edit = await self._find(file, chunk_id)
        wanted = replace(
            edit,
            content=edit.content if content is None else content,
            is_enabled=edit.is_enabled if is_enabled is None else is_enabled,
        )
        if wanted == edit:
            return await self._shown(file, chunk_id)
        action: ChunkAction = "edit"
        if wanted.content == edit.content:
            action = "enable" if wanted.is_enabled else "disable"
        return await self._apply(file, wanted, action, author)

    async def add(self, file: StoredFile, after: str | None, content: str, author: Owner) -> Chunk:
        """Behind the chunk `after`, at the beginning without one. Raises NoSuchChunk."""
        before = await self._find(file, after) if after else None
        new = ChunkEdit(
            kb_id=file.kb_id,
            file_name=file.name,
            anchor=before.anchor if before else "",
            position=before.position if before else -1,
            content=content,
            metadata=before.metadata if before else {},
            is_added=True,
        )
        return await self._apply(file, new, "add", author)

    async def delete(self, file: StoredFile, chunk_id: str, author: Owner) -> None:
        """Raises NoSuchChunk, NotDeletable or ChunkChanged."""
        edit = await self._find(file, chunk_id)
        if edit.hides:
            raise NotDeletable
        await self._apply(file, replace(edit, is_deleted=True), "delete", author)

    async def history(self, file: StoredFile, chunk_id: str) -> list[Revision]:
        """Raises NoSuchChunk."""
        edit = await self._find(file, chunk_id, with_deleted=True)
        return await self._store.history(edit) if edit.id else []

    async def restore(self, file: StoredFile, chunk_id: str, number: int, author: Owner) -> Chunk:
        """As it was after that change, 0 is as its file has it. Raises NoSuchChunk."""
        edit = await self._find(file, chunk_id, with_deleted=True)
        content, is_enabled = await self._as_of(edit, number)
        wanted = replace(edit, content=content, is_enabled=is_enabled, is_deleted=False)
        if wanted == edit:
            return await self._shown(file, chunk_id)
        return await self._apply(file, wanted, "restore", author)

    async def _as_of(self, edit: ChunkEdit, number: int) -> tuple[str, bool]:
        if number == 0 and not edit.is_added:
            return edit.anchor, True
        for revision in await self._store.history(edit):
            if revision.number == number:
                return revision.after, revision.is_enabled
        raise NoSuchChunk

    async def _apply(
        self, file: StoredFile, edit: ChunkEdit, action: ChunkAction, author: Owner
    ) -> Chunk:
        base = file.live_version
        if base is None:
            raise ChunkChanged
        hidden = await hidden_by(edit)
        overlay = await self._overlays.build(edit) if edit.answers else None
        with anyio.CancelScope(shield=True):
            try:
                async with self._overlays.flips:
                    stored, before = await self._store.change(
                        edit, action, author, base=base, overlay=overlay
                    )
                    self._overlays.show(base, stored, overlay, hidden)
                    if before:
                        self._overlays.hush(edit.kb_id, before)
            except BaseException:
                await self._overlays.discard_one(edit.kb_id, overlay)
                raise
            await self._overlays.catch_up(stored)
            if hidden:
                await self._overlays.remove_hidden(edit.kb_id, base, [hidden])
            if before:
                await self._overlays.withdraw(edit.kb_id, before)
        await self._overlays.spread()
        return chunk_of(stored)

    async def _find(
        self, file: StoredFile, chunk_id: str, *, with_deleted: bool = False
    ) -> ChunkEdit:
        """What was made of it, or would be: an edit that has changed nothing yet."""
        if chunk_id.startswith("e") and _is_number(chunk_id[1:]):
            edit = await self._store.edit(file.kb_id, file.name, int(chunk_id[1:]))
            if edit is None or (edit.is_deleted and not with_deleted):
                raise NoSuchChunk
            return edit
        version, dash, position = chunk_id.rpartition("-")
        if not dash or version != file.live_version or not _is_number(position):
            raise NoSuchChunk
        return await self._of_file(file, version, int(position))

    async def _of_file(self, file: StoredFile, version: str, position: int) -> ChunkEdit:
        known = await self._store.edit_at(file.kb_id, file.name, position)
        if known:
            return known
        passage = await self._store.passage(version, position)
        if passage is None:
            raise NoSuchChunk
        return ChunkEdit(
            kb_id=file.kb_id,
            file_name=file.name,
            anchor=passage.content,
            position=position,
            content=passage.content,
            metadata=passage.metadata,
            context=passage.context,
        )

    async def _shown(self, file: StoredFile, chunk_id: str) -> Chunk:
        edit = await self._find(file, chunk_id)
        return replace(chunk_of(edit), id=f"e{edit.id}" if edit.id else chunk_id)


def chunk_of(edit: ChunkEdit) -> Chunk:
    state: ChunkState = "enabled" if edit.content == edit.anchor else "edited"
    if not edit.hides:
        state = "added"
    return Chunk(
        id=f"e{edit.id}",
        position=edit.position,
        content=edit.content,
        context=edit.context,
        metadata=edit.metadata,
        state=state if edit.is_enabled else "disabled",
        original=None if edit.is_added or edit.id is None else edit.anchor,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 18
