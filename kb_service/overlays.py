"""The indexes of edited chunks: each is a version of its own over the version of its file.

So an edit is seen at once and by a flip, like a new version: the old text answers until then and
never beside the new one.
"""

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import anyio

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import ChunkEdit, EditPlan, Hidden, Moved, Overlay
from kb_service.entities import CustomDoc, Job
from kb_service.indexer import Indexer, Target, doc_id, pack
from kb_service.matching import NEAR, key_of, places
from kb_service.parsers import IndexedDoc
from kb_service.store import ChunkStore, VersionStore
from kb_service.tokens import counted, sparse_vector, terms


class Overlays:
    def __init__(
        self, *, chunks: ChunkStore, versions: VersionStore, indexer: Indexer, catalog: LiveCatalog
    ) -> None:
        self._chunks, self._versions = chunks, versions
        self._indexer, self._catalog = indexer, catalog

    @property
    def flips(self) -> anyio.Lock:
        return self._catalog.flips

    async def recover(self) -> None:
        """After the indexer's: tell the catalog what is edited, and finish what a crash left."""
        hidden_of = defaultdict[tuple[int, str], list[str]](list)
        for version, edit in await self._chunks.in_place():
            hidden = await hidden_by(edit)
            self._catalog.show(version, edit, hidden)
            if hidden:
                hidden_of[edit.kb_id, version].append(hidden.doc_id)
        for (kb_id, version), doc_ids in hidden_of.items():
            self._indexer.remove_later(kb_id, version, doc_ids)

    async def build(self, edit: ChunkEdit) -> Overlay:
        """Unseen. When anything is raised, nothing of it stays."""
        version = uuid.uuid4().hex
        try:
            with anyio.CancelScope(shield=True):  # no statement is left in the middle
                labels = await self._indexer.labelling.of(edit.kb_id, edit.file_name)
                collection = await self._indexer.collection_for(edit.kb_id)
                await self._versions.begin_overlay(version, edit.kb_id, collection, labels)
            counts = Counter(await asyncio.to_thread(terms, edit.content))
            doc = CustomDoc(edit.content, edit.metadata, edit.shown_context)
            target = Target(edit.kb_id, edit.file_name, version, collection, labels)
            indexed = IndexedDoc(doc, sparse_vector(counts))
            await self._indexer.put(target, [(version, edit.position, indexed)])
            await self._indexer.flush()
        except BaseException:
            await self._abandon(edit.kb_id, version)
            raise
        once = dict.fromkeys(counted(counts), 1)
        return Overlay(version, collection, once, pack(once))

    def show(
        self, base: str, edit: ChunkEdit, overlay: Overlay | None, hidden: Hidden | None
    ) -> None:
        """With the flip in the database; what answered before is to be withdrawn as well."""
        if overlay:
            self._catalog.publish(
                edit.kb_id,
                overlay.version,
                term_counts=overlay.term_counts,
                chunks=1,
                collection=overlay.collection,
            )
            self._versions.let_go(overlay.version)
        self._catalog.show(base, edit, hidden)

    async def withdraw(self, kb_id: int, version: str) -> None:
        """Clean away what `show` replaced."""
        await self._indexer.clear(kb_id, [version])

    async def catch_up(self, edit: ChunkEdit) -> None:
        """With tags that the file was given meanwhile."""
        await self._indexer.catch_up(edit.kb_id, edit.file_name)

    async def spread(self) -> None:
        await self._indexer.spread()

    def hush(self, kb_id: int, version: str) -> None:
        self._catalog.withdraw(kb_id, version)

    async def remove_hidden(self, kb_id: int, version: str, hidden: Iterable[Hidden]) -> None:
        if doc_ids := [one.doc_id for one in hidden]:
            await self._indexer.remove(kb_id, version, doc_ids)

    async def plan(self, job: Job, version: str) -> EditPlan:
        """Where the edits of a job's file go in its new version. Nothing stays if it raises."""
        edits = await self._chunks.edits(job.kb_id, job.file_name)
        seen = frozenset((edit.id or 0, edit.number) for edit in edits)
        if job.discards_edits or not edits:
            return EditPlan(seen, discards=job.discards_edits)
        moved: list[Moved] = []
        try:
            there = [edit for edit in edits if not edit.is_deleted]
            for old, new in zip(there, await self._placed(there, version), strict=True):
                moved.append(await self._move(job, old, new))
        except BaseException:
            await self.discard(job.kb_id, EditPlan(moved=tuple(moved)))
            raise
        return EditPlan(seen, tuple(moved), notes=_notes(there, [one.edit for one in moved]))

    def switch(self, kb_id: int, version: str, plan: EditPlan) -> None:
        """With the flip in the database: edits answer in their places in the new version."""
        for moved in plan.moved:
            self.show(version, moved.edit, moved.overlay, moved.hidden)

    async def clear_hidden(self, kb_id: int, version: str, plan: EditPlan) -> None:
        await self.remove_hidden(kb_id, version, (one.hidden for one in plan.moved if one.hidden))

    async def discard(self, kb_id: int, plan: EditPlan) -> None:
        overlays = [moved.overlay.version for moved in plan.moved if moved.overlay]
        await self._abandon(kb_id, *overlays)

    async def discard_one(self, kb_id: int, overlay: Overlay | None) -> None:
        if overlay:
            await self._abandon(kb_id, overlay.version)

    async def _abandon(self, kb_id: int, *versions: str) -> None:
        await self._indexer.abandon(kb_id, versions)
        for version in versions:
            self._versions.let_go(version)

    async def _placed(self, edits: Sequence[ChunkEdit], version: str) -> list[ChunkEdit]:
        keys = {key_of(edit.anchor) for edit in edits}
        near = {edit.position + away for edit in edits for away in range(-NEAR, NEAR + 1)}
        positions = defaultdict[bytes, list[int]](list)
        docs: dict[int, CustomDoc] = {}
        at = 0
        async for page in self._versions.chunks(version):
            for doc in page:
                if (key := key_of(doc.content)) in keys:
                    positions[key].append(at)
                if key in keys or at in near:
                    docs[at] = doc
                at += 1
        found = places(edits, positions, {place: doc.content for place, doc in docs.items()})
        return [_at(edit, found.get(edit.id or 0), docs, at) for edit in edits]

    async def _move(self, job: Job, old: ChunkEdit, new: ChunkEdit) -> Moved:
        overlay = None
        if not new.answers:
            new = replace(new, version=None)
        elif await self._is_to_be_built(job, old, new):
            overlay = await self.build(new)
            new = replace(new, version=overlay.version)
        return Moved(new, overlay, await hidden_by(new))

    async def _is_to_be_built(self, job: Job, old: ChunkEdit, new: ChunkEdit) -> bool:
        if old.version is None or job.kind in {"recreate", "embed"}:
            return True
        if (old.metadata, old.shown_context) != (new.metadata, new.shown_context):
            return True
        current = await self._versions.collection_of(old.version)
        return current != await self._indexer.collection_for(job.kb_id)


async def hidden_by(edit: ChunkEdit) -> Hidden | None:
    """The file's own chunk that an edit stands for."""
    if not edit.hides:
        return None
    return Hidden(
        doc_id=doc_id(edit.kb_id, edit.file_name, edit.position),
        position=edit.position,
        text=edit.anchor,
        context=edit.context,
        replacement=edit.content if edit.answers else "",
        terms=frozenset(await asyncio.to_thread(terms, edit.anchor)),
    )


def _at(edit: ChunkEdit, place: int | None, docs: dict[int, CustomDoc], total: int) -> ChunkEdit:
    if place is None:
        last = min(edit.position, total - 1)
        return replace(edit, position=last, context=None, is_lost=not edit.is_added)
    doc = docs[place]
    here = replace(edit, position=place, metadata=doc.metadata)
    if edit.is_added:
        return here
    return replace(here, anchor=doc.content, context=doc.context, is_lost=False)


def _notes(before: Sequence[ChunkEdit], after: Sequence[ChunkEdit]) -> tuple[str, ...]:
    pairs = [pair for pair in zip(before, after, strict=True) if not pair[0].is_added]
    lost = sum(new.is_lost and not old.is_lost for old, new in pairs)
    changed = sum(key_of(new.anchor) != key_of(old.anchor) for old, new in pairs)
    notes: list[str] = []
    if lost:
        notes.append(
            f"{lost} 处编辑的原文已不在文件中，已作为新增分块保留。"
            f"The text of {lost} edited chunks is not in the file any more; "
            "they are kept as added chunks."
        )
    if changed:
        notes.append(
            f"{changed} 处编辑的原文已变化，编辑仍然有效，请核对。"
            f"The text of {changed} edited chunks has changed; the edits are kept, look at them."
        )
    return tuple(notes)
