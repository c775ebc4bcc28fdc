"""Versions of files in the index: built unseen, switched at once, cleaned away afterwards."""

import asyncio
import logging
import uuid
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import orjson

from kb_service.collection_set import CollectionSet
from kb_service.embeddings import Embedder
from kb_service.entities import CustomDoc, Job, Replaced
from kb_service.parsers import Batch, IndexedDoc, Summary
from kb_service.search import LiveCatalog
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
        await self._collections.count(0)

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
                writer = _Writer(self, job.kb_id, job.file_name, version)
                async for batch in batches:
                    note(await writer.add(batch), batch)
                return await writer.finish()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.discard(job.kb_id, version)
            raise

    async def switch(self, kb_id: int, built: Built, replaced: Replaced) -> None:
        """After the flip in the database: the new version answers, then the old one goes."""
        self._catalog.publish(
            kb_id, built.version, term_counts=built.summary.term_counts, chunks=built.chunks
        )
        if replaced.version:
            await self.withdraw(kb_id, replaced.version)

    async def withdraw(self, kb_id: int, version: str) -> None:
        """The version answers no more from now on, then it is cleaned away."""
        self._catalog.withdraw(kb_id, version)
        with anyio.CancelScope(shield=True):
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

    async def _put(self, points: list[tuple[str, IndexedDoc]], writer: "_Writer") -> None:
        dense: list[list[float]] = []
        if self._embedder:
            dense = await self._embedder.embed([indexed.doc.content for _, indexed in points])
            await self.open()
        await self._collections.upsert(
            [
                Point(
                    id=str(uuid.uuid5(uuid.UUID(writer.version), doc_id)),
                    kb_id=writer.kb_id,
                    version=writer.version,
                    sparse=indexed.sparse,
                    dense=dense[number] if dense else None,
                    payload={
                        "chunk_id": doc_id,
                        "file_name": writer.file_name,
                        "content": indexed.doc.content,
                        "metadata": indexed.doc.metadata,
                    }
                    | ({"context": indexed.doc.context} if indexed.doc.context else {}),
                )
                for number, (doc_id, indexed) in enumerate(points)
            ]
        )


class _Writer:
    """One version in the making."""

    def __init__(self, indexer: Indexer, kb_id: int, file_name: str, version: str) -> None:
        self.kb_id, self.file_name, self.version = kb_id, file_name, version
        self._indexer, self._versions = indexer, indexer._versions
        self._rows: list[tuple[str, CustomDoc]] = []
        self._chunks = self._written = 0
        self._summary: Summary | None = None

    async def add(self, batch: Batch) -> int:
        """How many chunks there are by then."""
        self._summary = batch.summary or self._summary
        if not batch.chunks:
            return self._chunks
        points = [(self._doc_id(n), doc) for n, doc in enumerate(batch.chunks, self._chunks)]
        self._chunks += len(points)
        self._rows += [(doc_id, indexed.doc) for doc_id, indexed in points]
        if len(self._rows) >= _ROWS_AT_ONCE:
            await self._write_rows()
        await self._indexer._put(points, self)
        return self._chunks

    async def finish(self) -> Built:
        await self._write_rows()
        await self._indexer._collections.flush()
        assert self._summary is not None
        packed = await asyncio.to_thread(_pack, self._summary.term_counts)
        return Built(self.version, self._chunks, self._summary, packed)

    async def _write_rows(self) -> None:
        if self._rows:
            with anyio.CancelScope(shield=True):
                await self._versions.add_chunks(self.version, self._written, self._rows)
        self._written, self._rows = self._chunks, []

    def _doc_id(self, position: int) -> str:
        return uuid.uuid5(_IDS, f"{self.kb_id}/{self.file_name}/{position}").hex


def _pack(counts: dict[str, int]) -> bytes:
    return zlib.compress(orjson.dumps(counts), 1)


def _unpack(packed: bytes) -> dict[str, int]:
    counts: dict[str, int] = orjson.loads(zlib.decompress(packed)) if packed else {}
    return counts
