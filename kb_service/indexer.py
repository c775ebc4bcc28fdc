"""Versions of files in the index: built unseen, switched at once, cleaned away afterwards."""

import asyncio
import logging
import time
import uuid
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import anyio
import orjson

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.entities import CustomDoc, Job, Labels, Replaced
from kb_service.labelling import Labelling
from kb_service.parsers import Batch, IndexedDoc, Summary
from kb_service.repeating import attempt
from kb_service.sharing import ALONE, Sharing
from kb_service.store import VersionStore
from kb_service.vectors import Point
from servicekit.errors import Unavailable, UpstreamError

_ROWS_AT_ONCE = 500  # every commit waits for the disk
_IDS = uuid.UUID("5f0c6a3e-6a55-4c0c-9b53-0d8a4c0f6c11")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """A version that is complete but not live."""

    version: str
    collection: str
    chunks: int
    summary: Summary
    packed_counts: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """What points are written for."""

    kb_id: int
    file_name: str
    version: str
    collection: str
    labels: Labels


class Indexer:
    """Writes chunk rows and points; the catalog says which of them answer."""

    def __init__(
        self,
        *,
        collections: CollectionSet,
        catalog: LiveCatalog,
        versions: VersionStore,
        labelling: Labelling,
        sharing: Sharing = ALONE,
    ) -> None:
        self._collections, self._catalog = collections, catalog
        self._versions, self.labelling = versions, labelling
        self._sharing = sharing
        self._unneeded: list[tuple[float, int, list[str]]] = []

    async def open(self) -> None:
        """Open the collection of the default model, unless nothing was ever written to it."""
        embedders = self._collections.embedders
        for model in embedders.all():
            if model.embedder and model.embedder.size is None:
                model.embedder.size = await self._versions.dense_size(model.collection)
        await self._collections.open(embedders.default.collection)

    async def recover(self) -> None:
        """After `open`: finish what a crash left half done, and tell the catalog what is live."""
        live_versions = await self._versions.live()
        for collection in {live.collection for live in live_versions}:
            await self._collections.open(collection)
        try:
            await self._collections.ping()
            await self.clean()
        except (Unavailable, UpstreamError) as error:
            logger.warning("what was left half done is finished later: %s", error)
        for live in live_versions:
            counts = await asyncio.to_thread(unpack, live.term_counts)
            self._catalog.publish(
                live.kb_id,
                live.id,
                term_counts=counts,
                chunks=live.chunks,
                collection=live.collection,
            )

    async def clean(self) -> None:
        """Finish what failed: versions and points that answer no more, and labels of the others."""
        leftovers = await self._versions.leftovers(
            kept_for=self._sharing.kept_for, building_for=self._sharing.building_for
        )
        for version, kb_id in leftovers:
            logger.debug("cleaning version %s", version)
            await self.discard(kb_id, version)
        await self._remove_unneeded()
        await self.labelling.recover()

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
                    labels = await self.labelling.for_job(job)
                    collection = await self.collection_for(job.kb_id)
                    await self._versions.begin(version, job.kb_id, job.lease, collection, labels)
                target = Target(job.kb_id, job.file_name, version, collection, labels)
                writer = _Writer(self, target)
                async for batch in batches:
                    note(await writer.add(batch), batch)
                return await writer.finish()
        except BaseException:
            await self.abandon(job.kb_id, [version])
            raise

    @property
    def flips(self) -> anyio.Lock:
        """Held from a flip in the database until it is told here."""
        return self._catalog.flips

    def switch(self, kb_id: int, built: Built, replaced: Replaced) -> None:
        """With the flip in the database: the new version answers in the place of the old ones."""
        self._catalog.publish(
            kb_id,
            built.version,
            term_counts=built.summary.term_counts,
            chunks=built.chunks,
            collection=built.collection,
        )
        self.withdraw(kb_id, replaced)

    def withdraw(self, kb_id: int, replaced: Replaced) -> None:
        """The versions answer no more from now on."""
        for version in replaced.versions:
            self._catalog.withdraw(kb_id, version)

    async def clear(self, kb_id: int, versions: Sequence[str]) -> None:
        """Clean away what answers no more, now or when no other process gives it any more."""
        if not self._sharing.kept_for:  # else the rows say what is left to do
            await self.abandon(kb_id, versions)

    async def abandon(self, kb_id: int, versions: Sequence[str]) -> None:
        """Discard them; from the first on that cannot be, leave them to `clean`.

        The caller has succeeded or failed without that.
        """

        async def discard() -> None:
            for version in versions:
                await self.discard(kb_id, version)

        with anyio.CancelScope(shield=True):
            await attempt(discard)

    async def discard(self, kb_id: int, version: str) -> None:
        """Clean away a version that is not live; its row goes last and keeps what is undone."""
        await self._versions.drop_chunks(version)
        # Without a row it was cleaned already, and somebody who did not know went on writing it.
        collection = await self._versions.collection_of(version)
        await self._collections.delete(collection, kb_id, version)
        await self._versions.forget(version)

    async def drop(self, kb_id: int, versions: list[str]) -> None:
        """The same for a whole knowledge base."""
        self._catalog.drop(kb_id)
        await self.clear(kb_id, versions)

    async def collection_for(self, kb_id: int) -> str:
        """Of the embedding model that a knowledge base is indexed with from now on."""
        chosen = await self._versions.chosen_model(kb_id)
        return self._collections.model_for(chosen).collection

    async def put(self, target: Target, chunks: Sequence[tuple[str, int, IndexedDoc]]) -> int:
        """Points of chunks, each with its id and its position in the file.

        Gives the number of those that are longer than the embedding model reads.
        """
        model = self._collections.embedders.of_collection(target.collection)
        vectors: Sequence[list[float] | None] = [None] * len(chunks)
        cut = 0
        if model and model.embedder:
            embedded = await model.embedder.embed([indexed.doc.content for *_, indexed in chunks])
            vectors, cut = embedded.vectors, len(embedded.cut)
        points = (
            _point(target, *chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)
        )
        await self._collections.upsert(target.collection, list(points))
        return cut

    async def catch_up(self, kb_id: int, *file_names: str) -> None:
        """With the tags that files have by now; what fails is left to `clean`."""
        await attempt(partial(self.labelling.catch_up, kb_id, *file_names))

    async def flush(self) -> None:
        await self._collections.flush()

    async def remove(self, kb_id: int, version: str, doc_ids: Sequence[str]) -> None:
        """Single points of a version, such as those of chunks that answer no more."""
        self.remove_later(kb_id, version, doc_ids)
        await attempt(self._remove_unneeded)

    def remove_later(self, kb_id: int, version: str, doc_ids: Sequence[str]) -> None:
        """The same when there is time for it."""
        due = time.monotonic() + self._sharing.kept_for
        self._unneeded.append((due, kb_id, [_point_id(version, doc_id) for doc_id in doc_ids]))

    async def spread(self) -> None:
        """When this returns every process knows what was committed before."""
        await asyncio.sleep(self._sharing.known_after)

    async def _remove_unneeded(self) -> None:
        now = time.monotonic()
        due = [one for one in self._unneeded if one[0] <= now]
        self._unneeded = [one for one in self._unneeded if one[0] > now]
        while due:
            _, kb_id, point_ids = due[0]
            try:
                await self._collections.remove(kb_id, point_ids)
            except BaseException:
                self._unneeded += due
                raise
            del due[0]


class _Writer:
    """One version in the making."""

    def __init__(self, indexer: Indexer, target: Target) -> None:
        self._target = target
        self._indexer, self._versions = indexer, indexer._versions
        self._rows: list[tuple[str, CustomDoc]] = []
        self._chunks = self._written = self._cut = 0
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
        self._cut += await self._indexer.put(self._target, chunks)
        return self._chunks

    async def finish(self) -> Built:
        await self._write_rows()
        assert self._summary is not None
        version = self._target.version
        packed = await asyncio.to_thread(pack, self._summary.term_counts)
        if self._cut:
            self._summary.notes.append(_note(self._cut))
        return Built(version, self._target.collection, self._chunks, self._summary, packed)

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
        **target.labels.to_payload(),
    }
    return Point(
        id=_point_id(target.version, chunk_id),
        kb_id=target.kb_id,
        version=target.version,
        sparse=indexed.sparse,
        dense=dense,
        payload=payload | ({"context": indexed.doc.context} if indexed.doc.context else {}),
    )


def _note(cut: int) -> str:
    return (
        f"{cut} 个分块超过向量模型的长度上限，语义检索只看其开头。"
        f"{cut} chunks are longer than the embedding model reads; "
        "only their beginnings are found by meaning."
    )


def unpack(packed: bytes) -> dict[str, int]:
    counts: dict[str, int] = orjson.loads(zlib.decompress(packed)) if packed else {}
    return counts
