"""Rows of index versions and of the chunks that they consist of."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

import anyio
from sqlalchemy import and_, delete, func, insert, or_, update
from sqlmodel import col, select

from kb_service.entities import (
    Calibration,
    ChunkOptions,
    CustomDoc,
    Labels,
    LateVersion,
    Lease,
    LiveVersion,
)
from kb_service.errors import LeaseLost
from kb_service.models import (
    BUILDING,
    LIVE,
    RETIRED,
    ChunkRow,
    CollectionRow,
    FileRow,
    JobRow,
    KnowledgeBaseRow,
    VersionRow,
)
from kb_service.store.job_rows import ACTIVE
from kb_service.store.leases import hold
from servicekit.database import Database

_PAGE = 500


class VersionStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_hand: set[str] = set()

    async def begin(
        self, version: str, kb_id: int, lease: Lease, collection: str, labels: Labels
    ) -> None:
        """Note the version before anything of it exists, so that a crash leaves nothing behind.

        Raises LeaseLost.
        """
        async with self._database.transaction() as session:
            await hold(session, lease, version=version)
            session.add(_row(version, kb_id, collection, labels))

    async def begin_overlay(
        self, version: str, kb_id: int, collection: str, labels: Labels
    ) -> None:
        """The same for an edited chunk, which is indexed by the one who edits it."""
        self._in_hand.add(version)
        async with self._database.transaction() as session:
            session.add(_row(version, kb_id, collection, labels))

    def let_go(self, version: str) -> None:
        """Of an overlay: it is live, or nobody works on it any more."""
        self._in_hand.discard(version)

    async def add_chunks(
        self, version: str, start: int, chunks: Sequence[tuple[str, CustomDoc]]
    ) -> None:
        """Raises LeaseLost when the version was cleaned away meanwhile."""
        rows = [
            {
                "version": version,
                "position": position,
                "doc_id": doc_id,
                "content": doc.content,
                "meta_data": doc.metadata,
                "context": doc.context,
            }
            for position, (doc_id, doc) in enumerate(chunks, start)
        ]
        async with self._database.transaction() as session:
            if await session.get(VersionRow, version) is None:
                raise LeaseLost
            await session.exec(insert(ChunkRow), params=rows)

    async def chunks(self, version: str) -> AsyncIterator[list[CustomDoc]]:
        """Pages of its chunks, in order."""
        last = -1
        while True:
            page = (
                select(ChunkRow.position, ChunkRow.content, ChunkRow.meta_data, ChunkRow.context)
                .where(col(ChunkRow.version) == version, col(ChunkRow.position) > last)
                .order_by(col(ChunkRow.position))
                .limit(_PAGE)
            )
            with anyio.CancelScope(shield=True):  # its reader may be told to stop
                async with self._database.reading() as session:
                    rows = (await session.exec(page)).all()
            if not rows:
                return
            last = rows[-1][0]
            yield [CustomDoc(content, dict(meta), context) for _, content, meta, context in rows]

    async def live(self) -> list[LiveVersion]:
        rows = select(VersionRow).where(col(VersionRow.state) == LIVE)
        async with self._database.reading() as session:
            return [
                LiveVersion(row.id, row.kb_id, row.collection, row.chunks, row.term_counts or b"")
                for row in await session.exec(rows)
            ]

    async def late(self, *, within: float) -> list[LateVersion]:
        """Of files, those that went live within so many seconds before the last one did.

        Without those of files that a job is going to index anyway.
        """
        is_live = col(VersionRow.state) == LIVE
        last = select(func.max(VersionRow.state_since)).where(is_live).scalar_subquery()
        has_job = (
            select(JobRow.id)
            .where(
                col(JobRow.kb_id) == FileRow.kb_id,
                col(JobRow.file_name) == FileRow.file_name,
                col(JobRow.state).in_(ACTIVE),
            )
            .exists()
        )
        rows = (
            select(VersionRow, FileRow)
            .join(FileRow, col(FileRow.live_version) == col(VersionRow.id))
            .where(is_live, col(VersionRow.state_since) >= last - within, ~has_job)
        )
        async with self._database.reading() as session:
            return [
                LateVersion(
                    id=version.id,
                    kb_id=version.kb_id,
                    file_name=file.file_name,
                    collection=version.collection,
                    chunks=version.chunks,
                    options=ChunkOptions.from_json(file.chunking),
                )
                for version, file in await session.exec(rows)
                if file.chunking
            ]

    async def leftovers(self, *, kept_for: float, building_for: float) -> list[tuple[str, int]]:
        """Versions (with their knowledge base) that no worker builds and no file points to.

        Those that answered until just now are kept, and those that another process may be building.
        """
        now, since = time.time(), col(VersionRow.state_since)
        being_built = select(col(JobRow.version)).where(
            col(JobRow.state) == "running", col(JobRow.version).is_not(None)
        )
        rows = select(VersionRow.id, VersionRow.kb_id).where(
            or_(
                and_(col(VersionRow.state) == RETIRED, since <= now - kept_for),
                and_(col(VersionRow.state) == BUILDING, since <= now - building_for),
            ),
            col(VersionRow.id).not_in(being_built),
        )
        async with self._database.reading() as session:
            found = await session.exec(rows)
            return [(version, kb_id) for version, kb_id in found if version not in self._in_hand]

    async def chosen_model(self, kb_id: int) -> str:
        """The embedding model of a knowledge base, "" for the default one."""
        row = select(KnowledgeBaseRow.embed_model).where(col(KnowledgeBaseRow.id) == kb_id)
        async with self._database.reading() as session:
            return (await session.exec(row)).first() or ""

    async def collections(self) -> set[str]:
        """That anything is in, or still to be cleaned from."""
        async with self._database.reading() as session:
            return set(await session.exec(select(VersionRow.collection).distinct()))

    async def size_of(self, version: str) -> int:
        """Its number of chunks, once it is live."""
        row = select(VersionRow.chunks).where(col(VersionRow.id) == version)
        async with self._database.reading() as session:
            return (await session.exec(row)).first() or 0

    async def collection_of(self, version: str) -> str | None:
        row = select(VersionRow.collection).where(col(VersionRow.id) == version)
        async with self._database.reading() as session:
            return (await session.exec(row)).first()

    async def drop_chunks(self, version: str) -> None:
        """In pages: a long delete would keep every other writer waiting."""
        start = 0
        newest = select(ChunkRow.position).where(col(ChunkRow.version) == version)
        newest = newest.order_by(col(ChunkRow.position).desc()).limit(1)
        async with self._database.reading() as session:
            last = (await session.exec(newest)).first()
        while last is not None and start <= last:
            start += 5 * _PAGE
            async with self._database.transaction() as session:
                await session.exec(
                    delete(ChunkRow).where(
                        col(ChunkRow.version) == version, col(ChunkRow.position) < start
                    )
                )

    async def forget(self, version: str) -> None:
        async with self._database.transaction() as session:
            await session.exec(delete(VersionRow).where(col(VersionRow.id) == version))

    async def dense_size(self, collection: str) -> int | None:
        """None for a collection of no model, and for one that was never written to."""
        async with self._database.reading() as session:
            row = await session.get(CollectionRow, collection)
        return None if row is None else row.dense_size

    async def remember_dense_size(self, collection: str, size: int) -> None:
        async with self._database.transaction() as session:
            row = await session.get(CollectionRow, collection)
            row = row or CollectionRow(name=collection, dense_size=size)
            row.dense_size = size
            session.add(row)

    async def calibration(self, collection: str) -> Calibration | None:
        async with self._database.reading() as session:
            row = await session.get(CollectionRow, collection)
        return Calibration(**row.calibration) if row and row.calibration else None

    async def remember_calibration(self, collection: str, calibration: Calibration) -> None:
        """Of a collection whose size is known."""
        change = update(CollectionRow).where(col(CollectionRow.name) == collection)
        async with self._database.transaction() as session:
            await session.exec(change.values(calibration=asdict(calibration)))


def _row(version: str, kb_id: int, collection: str, labels: Labels) -> VersionRow:
    tags = list(labels.tags) or None
    return VersionRow(id=version, kb_id=kb_id, collection=collection, tags=tags)
