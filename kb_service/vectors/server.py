"""The index on a Qdrant server or cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from kb_service.vectors import (
    DENSE,
    KB_ID,
    RRF_K,
    SPARSE,
    UPSERT_BATCH,
    VERSION,
    CollectionMismatch,
    Hit,
    Point,
    SparseVector,
    Where,
)
from servicekit.errors import Unavailable, UpstreamError

_OLDEST = (1, 19)  # the first that computes IDF over a part of a collection


def connect(url: str, api_key: str | None) -> AsyncQdrantClient:
    """A client that asks nothing yet; `ensure` checks the server's version."""
    return AsyncQdrantClient(url=url, api_key=api_key, timeout=30, check_compatibility=False)


class QdrantIndex:
    """VectorIndex on a client."""

    def __init__(self, client: AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    async def ensure(self, dense_size: int | None) -> None:
        with _errors_of_ours():
            await self._refuse_old_server()
            if not await self._client.collection_exists(self._collection):
                await self._create(dense_size)
            await self._refuse_other_size(dense_size)
            await self._client.create_payload_index(
                self._collection, KB_ID, models.KeywordIndexParams(type="keyword", is_tenant=True)
            )
            await self._client.create_payload_index(
                self._collection, VERSION, models.PayloadSchemaType.KEYWORD
            )

    async def upsert(self, points: Sequence[Point]) -> None:
        with _errors_of_ours():
            for start in range(0, len(points), UPSERT_BATCH):
                batch = [_stored(point) for point in points[start : start + UPSERT_BATCH]]
                await self._client.upsert(self._collection, batch, wait=True)

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        with _errors_of_ours():
            chosen = models.FilterSelector(filter=_of(kb_id, version))
            await self._client.delete(self._collection, chosen, wait=True)

    async def remove(self, point_ids: Sequence[str]) -> None:
        if not point_ids:
            return  # the server takes it for a mistake
        with _errors_of_ours():
            chosen = models.PointIdsList(points=list(point_ids))
            await self._client.delete(self._collection, chosen, wait=True)

    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        with _errors_of_ours():
            chosen = models.FilterSelector(filter=_of(kb_id, version))
            await self._client.set_payload(self._collection, dict(labels), chosen, wait=True)

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float] | None,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        wanted = _of(kb_id, where=where)
        with _errors_of_ours():
            if dense is None:
                found = await self._lexical(kb_id, sparse, limit, wanted)
                return [_hit(point, None) for point in found]
            found = await self._hybrid(kb_id, sparse, dense, limit, wanted)
            similarities = await self._similarities(dense, found)
            return [_hit(point, similarities.get(point.id)) for point in found]

    async def count(self, kb_id: int, version: str | None = None) -> int:
        with _errors_of_ours():
            counted = await self._client.count(
                self._collection, count_filter=_of(kb_id, version), exact=True
            )
        return counted.count

    async def flush(self) -> None:
        """Nothing to do: the server keeps what it acknowledged, by its own settings."""

    async def close(self) -> None:
        await self._client.close()

    async def _refuse_old_server(self) -> None:
        version = (await self._client.info()).version
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise CollectionMismatch(
                f"Qdrant {version} is too old, 1.19 or newer is needed. Qdrant 版本过旧。"
            )

    async def _create(self, dense_size: int | None) -> None:
        dense = (
            {}
            if dense_size is None
            else {DENSE: models.VectorParams(size=dense_size, distance=models.Distance.COSINE)}
        )
        try:
            await self._client.create_collection(
                self._collection,
                vectors_config=dense,
                sparse_vectors_config={
                    SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
                # Every query is about one knowledge base, so graphs are made per knowledge base.
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
            )
        except UnexpectedResponse as error:
            if error.status_code != 409:
                raise

    async def _refuse_other_size(self, dense_size: int | None) -> None:
        stored = (await self._client.get_collection(self._collection)).config.params.vectors
        params = stored.get(DENSE) if isinstance(stored, dict) else None
        if (params.size if params else None) != dense_size:
            raise CollectionMismatch(
                f"Collection {self._collection} was made for other vectors than size {dense_size}"
            )

    async def _lexical(
        self, kb_id: int, sparse: SparseVector, limit: int, wanted: models.Filter
    ) -> list[models.ScoredPoint]:
        answer = await self._client.query_points(
            self._collection,
            query=_vector(sparse),
            using=SPARSE,
            query_filter=wanted,
            search_params=_idf_of(kb_id),
            limit=limit,
        )
        return answer.points

    async def _hybrid(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float],
        limit: int,
        wanted: models.Filter,
    ) -> list[models.ScoredPoint]:
        by_words = models.Prefetch(
            query=_vector(sparse), using=SPARSE, filter=wanted, params=_idf_of(kb_id), limit=limit
        )
        by_meaning = models.Prefetch(query=dense, using=DENSE, filter=wanted, limit=limit)
        answer = await self._client.query_points(
            self._collection,
            prefetch=[by_words, by_meaning],
            query=models.RrfQuery(rrf=models.Rrf(k=RRF_K)),
            limit=limit,
        )
        return answer.points

    async def _similarities(
        self, dense: list[float], found: list[models.ScoredPoint]
    ) -> dict[models.ExtendedPointId, float]:
        only_found = models.HasIdCondition(has_id=[point.id for point in found])
        answer = await self._client.query_points(
            self._collection,
            query=dense,
            using=DENSE,
            query_filter=models.Filter(must=[only_found]),
            limit=max(len(found), 1),
            with_payload=False,
        )
        return {point.id: point.score for point in answer.points}


@contextmanager
def _errors_of_ours() -> Iterator[None]:
    try:
        yield
    except ResponseHandlingException as error:
        raise Unavailable("向量库暂时无法访问，请稍后重试。", retry_after=5) from error
    except UnexpectedResponse as error:
        raise UpstreamError(f"向量库出错（{error.status_code}）。") from error


def _stored(point: Point) -> models.PointStruct:
    vectors: dict[str, models.Vector] = {SPARSE: _vector(point.sparse)}
    if point.dense is not None:
        vectors[DENSE] = point.dense
    own = {KB_ID: str(point.kb_id), VERSION: point.version}
    return models.PointStruct(id=point.id, vector=vectors, payload=point.payload | own)


def _hit(point: models.ScoredPoint, similarity: float | None) -> Hit:
    payload = dict(point.payload or {})
    payload.pop(KB_ID)
    return Hit(str(point.id), payload.pop(VERSION), payload, similarity)


def _vector(sparse: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices, values=sparse.values)


def _of(kb_id: int, version: str | None = None, where: Where | None = None) -> models.Filter:
    wanted = {KB_ID: str(kb_id)} if version is None else {KB_ID: str(kb_id), VERSION: version}
    must: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in wanted.items()
    ]
    if where:
        must += [
            models.FieldCondition(key=key, match=models.MatchAny(any=values))
            for key, values in where.choices
        ]
        must += [
            models.FieldCondition(key=key, range=models.Range(gte=least, lte=most))
            for key, least, most in where.ranges
        ]
    return models.Filter(must=must)


def _idf_of(kb_id: int) -> models.SearchParams:
    return models.SearchParams(idf=models.IdfCorpusParams(corpus=_of(kb_id)))
