"""The index on a Qdrant server or cluster."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from kb_service.vectors import (
    DENSE,
    PREFETCH_LEAST,
    RRF_K,
    RRF_WEIGHTS,
    SPARSE,
    UPSERT_BATCH,
    Hit,
    Point,
    ServerOptions,
    SparseVector,
    Where,
)
from kb_service.vectors.patience import Answer, Patience, patiently
from kb_service.vectors.server_collection import bring_about
from kb_service.vectors.server_points import hit, idf_of, of, stored, vector
from servicekit.errors import Unavailable, UpstreamError

_NO_RETRY = 0.0

logger = logging.getLogger(__name__)


def connect(url: str, api_key: str | None) -> AsyncQdrantClient:
    """A client that asks nothing yet; `ensure` checks the server's version."""
    return AsyncQdrantClient(url=url, api_key=api_key, timeout=30, check_compatibility=False)


class QdrantIndex:
    """VectorIndex on a client.

    A server that is away when the service starts is opened by the first call that reaches it.
    """

    def __init__(
        self,
        client: AsyncQdrantClient,
        collection: str,
        options: ServerOptions | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._client, self._collection = client, collection
        self._options, self._patience = options or ServerOptions(), patience or Patience()
        self._dense_size: int | None = None
        self._is_open = False
        self._opening = asyncio.Lock()

    async def ensure(self, dense_size: int | None) -> None:
        self._dense_size, self._is_open = dense_size, False
        try:
            await self._open(_NO_RETRY)
        except (Unavailable, UpstreamError) as error:
            logger.warning("the vector store will be opened later: %s", error)

    async def upsert(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), UPSERT_BATCH):
            batch = [stored(point) for point in points[start : start + UPSERT_BATCH]]
            await self._write(partial(self._client.upsert, self._collection, batch))

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        await self._delete(of(kb_id, version))

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        if point_ids:  # no condition would be none
            await self._delete(of(kb_id, ids=point_ids))

    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        chosen = models.FilterSelector(filter=of(kb_id, version))
        await self._write(partial(self._client.set_payload, self._collection, dict(labels), chosen))

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float] | None,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        wanted = of(kb_id, where=where)
        if dense is None:
            found = await self._lexical(kb_id, sparse, limit, wanted)
            return [hit(point, None) for point in found]
        found = await self._hybrid(kb_id, sparse, dense, limit, wanted)
        similarities = await self._similarities(kb_id, dense, found)
        return [hit(point, similarities.get(point.id)) for point in found]

    async def count(self, kb_id: int, version: str | None = None) -> int:
        counted = await self._read(
            partial(
                self._client.count, self._collection, count_filter=of(kb_id, version), exact=True
            )
        )
        return counted.count

    async def ping(self) -> None:
        await self._open(_NO_RETRY)
        await patiently(self._client.info, _NO_RETRY)

    async def flush(self) -> None:
        """Nothing to do: the server keeps what it acknowledged, by its own settings."""

    async def close(self) -> None:
        await self._client.close()

    async def _read(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        await self._open(self._patience.reading)
        return await patiently(call, self._patience.reading)

    async def _write(self, call: Callable[[], Awaitable[object]]) -> None:
        """The client waits until what it wrote is found."""
        await self._open(self._patience.writing)
        await patiently(call, self._patience.writing)

    async def _delete(self, chosen: models.Filter) -> None:
        selector = models.FilterSelector(filter=chosen)
        await self._write(partial(self._client.delete, self._collection, selector))

    async def _open(self, seconds: float) -> None:
        if self._is_open:
            return
        async with self._opening:
            if not self._is_open:
                await patiently(self._bring_about, seconds)
                self._is_open = True

    async def _bring_about(self) -> None:
        await bring_about(self._client, self._collection, self._dense_size, self._options)

    async def _lexical(
        self, kb_id: int, sparse: SparseVector, limit: int, wanted: models.Filter
    ) -> list[models.ScoredPoint]:
        answer = await self._read(
            partial(
                self._client.query_points,
                self._collection,
                query=vector(sparse),
                using=SPARSE,
                query_filter=wanted,
                search_params=idf_of(kb_id),
                limit=limit,
            )
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
        depth = max(limit, PREFETCH_LEAST)
        by_words = models.Prefetch(
            query=vector(sparse), using=SPARSE, filter=wanted, params=idf_of(kb_id), limit=depth
        )
        by_meaning = models.Prefetch(query=dense, using=DENSE, filter=wanted, limit=depth)
        answer = await self._read(
            partial(
                self._client.query_points,
                self._collection,
                prefetch=[by_words, by_meaning],
                query=models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=RRF_WEIGHTS)),
                limit=limit,
            )
        )
        return answer.points

    async def _similarities(
        self, kb_id: int, dense: list[float], found: list[models.ScoredPoint]
    ) -> dict[models.ExtendedPointId, float]:
        """Of the vectors themselves, not of what quantisation leaves of them."""
        precise = models.SearchParams(quantization=models.QuantizationSearchParams(ignore=True))
        answer = await self._read(
            partial(
                self._client.query_points,
                self._collection,
                query=dense,
                using=DENSE,
                query_filter=of(kb_id, ids=[point.id for point in found]),
                search_params=precise,
                limit=max(len(found), 1),
                with_payload=False,
            )
        )
        return {point.id: point.score for point in answer.points}
