"""The Qdrant engine inside this process, on a folder that one process owns."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as engine

from kb_service.vectors import (
    DENSE,
    KB_ID,
    PREFETCH_LEAST,
    RRF_K,
    RRF_WEIGHTS,
    SPARSE,
    UPSERT_BATCH,
    VERSION,
    CollectionMismatch,
    Hit,
    Point,
    SparseVector,
    StoreInUse,
    Where,
)

# The write-ahead log keeps every update over a kill from the moment that it returns; a flush keeps
# it over a power cut and shortens what the next start replays. It blocks the process for 6 ms and
# more, and for about 15 ms on as many points.
_FLUSH_AFTER = 1000
_DELETE_BATCH = 200
# A knowledge base up to this size is scanned point by point: above, the inverted index is faster
# even though its lists hold everybody's points.
_SCAN_UP_TO = 1000


class EdgeIndex:
    """VectorIndex on the embedded engine.

    Every call holds the GIL, so calls are short and run on the event loop itself; `optimize` would
    hold it for minutes and is never called.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open_shard: engine.EdgeShard | None = None
        self._dense_size: int | None = None
        self._unflushed = 0

    async def ensure(self, dense_size: int | None) -> None:
        if self._open_shard is not None:
            if dense_size != self._dense_size:
                raise CollectionMismatch(f"{self._folder} is open with size {self._dense_size}")
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open_shard = shard = _load(self._folder, dense_size)
        self._dense_size = dense_size
        indexed = shard.info().payload_schema
        for key in (KB_ID, VERSION):
            if key not in indexed:  # making it again would read every point
                params = engine.KeywordIndexParams(is_tenant=key == KB_ID)
                shard.update(engine.UpdateOperation.create_field_index(key, params))

    async def upsert(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), UPSERT_BATCH):
            batch = [_stored(point) for point in points[start : start + UPSERT_BATCH]]
            self._shard.update(engine.UpdateOperation.upsert_points(batch))
            self._unflushed += len(batch)
            if self._unflushed >= _FLUSH_AFTER:
                await self.flush()
            await asyncio.sleep(0)

    async def flush(self) -> None:
        if self._unflushed:
            self._shard.flush()
            self._unflushed = 0

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        request = engine.ScrollRequest(
            limit=_DELETE_BATCH, filter=_of(kb_id, version), with_payload=False
        )
        while found := self._shard.scroll(request)[0]:
            ids = [record.id for record in found]
            self._shard.update(engine.UpdateOperation.delete_points(ids))
            self._unflushed += len(ids)
            await asyncio.sleep(0)

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        for start in range(0, len(point_ids), _DELETE_BATCH):
            ids = point_ids[start : start + _DELETE_BATCH]
            chosen = _of(kb_id, ids=ids)
            self._shard.update(engine.UpdateOperation.delete_points_by_filter(chosen))
            self._unflushed += len(ids)
            await asyncio.sleep(0)

    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        offset: Any = None
        while True:
            request = engine.ScrollRequest(
                offset=offset, limit=UPSERT_BATCH, filter=_of(kb_id, version), with_payload=False
            )
            found, offset = self._shard.scroll(request)
            if found:
                ids = [record.id for record in found]
                self._shard.update(engine.UpdateOperation.set_payload(ids, dict(labels)))
                self._unflushed += len(ids)
            if offset is None:
                return
            await asyncio.sleep(0)

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float] | None,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        wanted = _of(kb_id, where=where)
        if dense is None:
            request = _lexical(kb_id, sparse, limit, wanted)
        else:
            request = _hybrid(kb_id, sparse, dense, limit, wanted)
        found = self._shard.query(request)
        similarities = {} if dense is None else self._similarities(kb_id, dense, found)
        return [_hit(point, similarities.get(point.id)) for point in found]

    async def pages(self, kb_id: int, version: str, size: int) -> AsyncGenerator[list[Point], None]:
        """All points of a version with their vectors, to be stored elsewhere."""
        offset: Any = None
        while True:
            request = engine.ScrollRequest(
                offset=offset,
                limit=size,
                filter=_of(kb_id, version),
                with_payload=True,
                with_vector=True,
            )
            found, offset = self._shard.scroll(request)
            yield [_point(record) for record in found]
            if offset is None:
                return

    async def count(self, kb_id: int, version: str | None = None) -> int:
        return self._shard.count(engine.CountRequest(filter=_of(kb_id, version)))

    async def ping(self) -> None:
        """It is in this process."""

    async def close(self) -> None:
        if self._open_shard is not None:
            try:
                await self.flush()
            finally:
                self._open_shard.close()
                self._open_shard = None

    @property
    def _shard(self) -> engine.EdgeShard:
        if self._open_shard is None:
            raise RuntimeError("ensure() comes first")
        return self._open_shard

    def _similarities(
        self, kb_id: int, dense: list[float], found: list[engine.ScoredPoint]
    ) -> dict[Any, float]:
        request = engine.QueryRequest(
            limit=max(len(found), 1),
            query=engine.Query.Nearest(dense, using=DENSE),
            filter=_of(kb_id, ids=(point.id for point in found)),
        )
        return {point.id: point.score for point in self._shard.query(request)}


def _load(folder: Path, dense_size: int | None) -> engine.EdgeShard:
    try:
        return engine.EdgeShard.load(str(folder), _config(dense_size))
    except Exception as error:  # the engine raises Exception itself
        if "WouldBlock" in str(error):  # its lock on the write-ahead log
            raise StoreInUse(
                f"Another process has {folder} open; stop it first. 向量库正被另一个进程使用。"
            ) from error
        if "incompatible" in str(error):
            raise CollectionMismatch(f"{folder} was made for other vectors: {error}") from error
        raise


def _config(dense_size: int | None) -> engine.EdgeConfig:
    sparse = {
        SPARSE: engine.EdgeSparseVectorParams(
            modifier=engine.Modifier.Idf, full_scan_threshold=_SCAN_UP_TO
        )
    }
    if dense_size is None:
        return engine.EdgeConfig(sparse_vectors=sparse)
    dense = {DENSE: engine.EdgeVectorParams(dense_size, engine.Distance.Cosine)}
    return engine.EdgeConfig(vectors=dense, sparse_vectors=sparse)


def _stored(point: Point) -> engine.Point:
    vectors: dict[str, Any] = {
        SPARSE: engine.SparseVector(point.sparse.indices, point.sparse.values)
    }
    if point.dense is not None:
        vectors[DENSE] = point.dense
    own = {KB_ID: str(point.kb_id), VERSION: point.version}
    return engine.Point(point.id, vectors, point.payload | own)


def _point(record: engine.Record) -> Point:
    payload: dict[str, Any] = record.payload or {}
    vectors: Any = record.vector  # named ones: a dict
    words = vectors[SPARSE]
    return Point(
        id=str(record.id),
        kb_id=int(payload.pop(KB_ID)),
        version=payload.pop(VERSION),
        sparse=SparseVector(list(words.indices), list(words.values)),
        dense=list(vectors[DENSE]) if DENSE in vectors else None,
        payload=payload,
    )


def _hit(point: engine.ScoredPoint, similarity: float | None) -> Hit:
    payload = point.payload or {}
    payload.pop(KB_ID)
    return Hit(str(point.id), payload.pop(VERSION), payload, similarity)


def _lexical(
    kb_id: int, sparse: SparseVector, limit: int, wanted: engine.Filter
) -> engine.QueryRequest:
    return engine.QueryRequest(
        limit=limit,
        query=_nearest(sparse),
        filter=wanted,
        params=_idf_of(kb_id),
        with_payload=True,
    )


def _hybrid(
    kb_id: int, sparse: SparseVector, dense: list[float], limit: int, wanted: engine.Filter
) -> engine.QueryRequest:
    depth = max(limit, PREFETCH_LEAST)
    by_words = engine.Prefetch(
        limit=depth, query=_nearest(sparse), filter=wanted, params=_idf_of(kb_id)
    )
    by_meaning = engine.Prefetch(
        limit=depth, query=engine.Query.Nearest(dense, using=DENSE), filter=wanted
    )
    # Its stub does not say that it is a Fusion.
    fusion: Any = engine.Fusion.Rrf(k=RRF_K, weights=RRF_WEIGHTS)
    return engine.QueryRequest(
        limit=limit,
        prefetches=[by_words, by_meaning],
        query=fusion,
        with_payload=True,
    )


def _of(
    kb_id: int,
    version: str | None = None,
    *,
    where: Where | None = None,
    ids: Iterable[Any] | None = None,
) -> engine.Filter:
    wanted = {KB_ID: str(kb_id)} if version is None else {KB_ID: str(kb_id), VERSION: version}
    must: list[Any] = [
        engine.FieldCondition(key, match=engine.MatchValue(value)) for key, value in wanted.items()
    ]
    if where:
        must += [
            engine.FieldCondition(key, match=engine.MatchAny(values))
            for key, values in where.choices
        ]
        must += [
            engine.FieldCondition(key, range=engine.RangeFloat(gte=least, lte=most))
            for key, least, most in where.ranges
        ]
    if ids is not None:
        must.append(engine.HasIdCondition(set(ids)))
    return engine.Filter(must=must)


def _idf_of(kb_id: int) -> engine.SearchParams:
    return engine.SearchParams(idf=engine.IdfParams(corpus=_of(kb_id)))


def _nearest(sparse: SparseVector) -> engine.Query:
    vector = engine.SparseVector(sparse.indices, sparse.values)
    return engine.Query.Nearest(vector, using=SPARSE)
