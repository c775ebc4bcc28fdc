"""Versions of files in the index: built unseen, switched at once, cleaned away afterwards."""

import asyncio
import logging
import uuid
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import orjson

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings import Embedder
from kb_service.entities import CustomDoc, Job, Replaced
from kb_service.parsers import Batch, IndexedDoc, Summary
from kb_service.store import VersionStore
from kb_service.vectors import Point

_ROWS_AT_ONCE = 500  # every commit waits for the disk
_IDS = uuid.UUID("5f0c6a3e-6a55-4c0c-9b53-0d8a4c0f6c11")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """A version that is complete but not live."""

    version: str
    chunks: int
    summary: Summary
    packed_counts: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """What points are written for."""

    kb_id: int
    file_name: str
    version: str


class Indexer:
    """Writes chunk rows and points; the catalog says which of them answer."""

    def __init__(
        self,
        *,
        collections: CollectionSet,
        catalog: LiveCatalog,
        versions: VersionStore,
        embedder: Embedder | None,
    ) -> None:
        self._collections, self._catalog = collections, catalog
        self._versions, self._embedder = versions, embedder

    async def open(self) -> None:
        """Open the collection, or leave it to the first vectors when their length is not known."""
        if self._collections.is_open:
            return
        size = self._embedder.size if self._embedder else None
        if self._embedder is None:
            await self._collections.ensure(None)
        elif size is not None:
            await self._collections.ensure(size)
            await self._versions.remember_dense_size(self._collections.current, size)

    async def recover(self) -> None:
        """After `open`: finish what a crash left half done, and tell the catalog what is live."""
        live_versions = await self._versions.live()
        for live in live_versions:
            if live.collection != self._collections.current:
                size = await self._versions.dense_size(live.collection)
                await self._collections.read_earlier(live.collection, live.kb_id, size)
        await self.clean()
        for live in live_versions:
            counts = await asyncio.to_thread(_unpack, live.term_counts)
            self._catalog.publish(live.kb_id, live.id, term_counts=counts, chunks=live.chunks)

    async def clean(self) -> None:
        """Remove versions that were left half done, or half removed."""
        for version, kb_id in await self._versions.leftovers():
            logger.info("cleaning version %s, left over from an interrupted work", version)
            await self.discard(kb_id, version)

    async def ping(self) -> None:
        await self._collections.ping()

    async def build(
        self, job: Job, batches: AsyncGenerator[Batch, None], note: Callable[[int, Batch], None]
    ) -> Built:
        """A new version of the job's file; `note` hears the number of chunks after every batch.

        When anything is raised, nothing of it stays. Raises LeaseLost.
        """
        version = uuid.uuid4().hex
        try:
            async with aclosing(batches):
                with anyio.CancelScope(shield=True):  # no statement is left in the middle
                    await self._versions.begin(version, job.kb_id, job.lease)
                writer = _Writer(self, Target(job.kb_id, job.file_name, version))
                async for batch in batches:
                    note(await writer.add(batch), batch)
                return await writer.finish()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.discard(job.kb_id, version)
            raise

    @property
    def flips(self) -> anyio.Lock:
        """Held from a flip in the database until it is told here."""
        return self._catalog.flips

    def switch(self, kb_id: int, built: Built, replaced: Replaced) -> None:
        """With the flip in the database: the new version answers in the place of the old ones."""
        self._catalog.publish(
            kb_id, built.version, term_counts=built.summary.term_counts, chunks=built.chunks
        )
        self.withdraw(kb_id, replaced)

    def withdraw(self, kb_id: int, replaced: Replaced) -> None:
        """The versions answer no more from now on."""
        for version in replaced.versions:
            self._catalog.withdraw(kb_id, version)

    async def clear(self, kb_id: int, replaced: Replaced) -> None:
        """Clean away what answers no more."""
        with anyio.CancelScope(shield=True):
            for version in replaced.versions:
                await self.discard(kb_id, version)

    async def discard(self, kb_id: int, version: str) -> None:
        """Clean away a version that is not live; its row goes last and keeps what is undone."""
        await self._versions.drop_chunks(version)
        # Without a row it was cleaned already, and somebody who did not know went on writing it.
        collection = await self._versions.collection_of(version) or self._collections.current
        if self._collections.holds(collection):
            await self._collections.delete_from(collection, kb_id, version)
        elif collection != self._collections.current:
            return  # its points are cleaned when that collection is opened again
        await self._versions.forget(version)

    async def drop(self, kb_id: int, versions: list[str]) -> None:
        """The same for a whole knowledge base."""
        self._catalog.drop(kb_id)
        for version in versions:
            await self.discard(kb_id, version)

    async def put(self, target: Target, chunks: Sequence[tuple[str, int, IndexedDoc]]) -> None:
        """Points of chunks, each with its id and its position in the file."""
        dense: list[list[float]] = []
        if self._embedder:
            dense = await self._embedder.embed([indexed.doc.content for *_, indexed in chunks])
            await self.open()
        vectors: Sequence[list[float] | None] = dense or [None] * len(chunks)
        points = (
            _point(target, *chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)
        )
        await self._collections.upsert(list(points))

    async def flush(self) -> None:
        await self._collections.flush()

    async def remove(self, kb_id: int, version: str, doc_ids: Sequence[str]) -> None:
        """Single points of a version, such as those of chunks that answer no more."""
        await self._collections.remove(kb_id, [_point_id(version, doc_id) for doc_id in doc_ids])


class _Writer:
    """One version in the making."""

    def __init__(self, indexer: Indexer, target: Target) -> None:
        self._target = target
        self._indexer, self._versions = indexer, indexer._versions
        self._rows: list[tuple[str, CustomDoc]] = []
        self._chunks = self._written = 0
        self._summary: Summary | None = None

    async def add(self, batch: Batch) -> int:
        """How many chunks there are by then."""
        self._summary = batch.summary or self._summary
        if not batch.chunks:
            return self._chunks
        of_file = self._target.kb_id, self._target.file_name
        numbered = enumerate(batch.chunks, self._chunks)
        chunks = [(doc_id(*of_file, position), position, doc) for position, doc in numbered]
        self._chunks += len(chunks)
        self._rows += [(chunk_id, indexed.doc) for chunk_id, _, indexed in chunks]
        if len(self._rows) >= _ROWS_AT_ONCE:
            await self._write_rows()
        await self._indexer.put(self._target, chunks)
        return self._chunks

    async def finish(self) -> Built:
        await self._write_rows()
        await self._indexer.flush()
        assert self._summary is not None
        version = self._target.version
        packed = await asyncio.to_thread(pack, self._summary.term_counts)
        return Built(version, self._chunks, self._summary, packed)

    async def _write_rows(self) -> None:
        if self._rows:
            with anyio.CancelScope(shield=True):
                await self._versions.add_chunks(self._target.version, self._written, self._rows)
        self._written, self._rows = self._chunks, []


def doc_id(kb_id: int, file_name: str, position: int) -> str:
    """Of the file's own chunk there, in whatever version."""
    return uuid.uuid5(_IDS, f"{kb_id}/{file_name}/{position}").hex


def pack(counts: Mapping[str, int]) -> bytes:
    return zlib.compress(orjson.dumps(counts), 1)


def _point_id(version: str, chunk_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(version), chunk_id))


def _point(
    target: Target, chunk_id: str, position: int, indexed: IndexedDoc, dense: list[float] | None
) -> Point:
    payload = {
        "chunk_id": chunk_id,
        "position": position,
        "file_name": target.file_name,
        "content": indexed.doc.content,
        "metadata": indexed.doc.metadata,
    }
    return Point(
        id=_point_id(target.version, chunk_id),
        kb_id=target.kb_id,
        version=target.version,
        sparse=indexed.sparse,
        dense=dense,
        payload=payload | ({"context": indexed.doc.context} if indexed.doc.context else {}),
    )


def _unpack(packed: bytes) -> dict[str, int]:
    counts: dict[str, int] = orjson.loads(zlib.decompress(packed)) if packed else {}
    return counts
