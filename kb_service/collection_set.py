"""The collections of this installation: each embedding model has one, opened when it is needed.

A knowledge base is in the collection of its model. While it is being moved to another one it is in
both, each file in one of them, and questions go to both. What was indexed with a model that is no
longer configured is found by words alone.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Protocol

import anyio

from kb_service.embeddings.available import LEXICAL, Embedders, EmbeddingModel, has_vectors
from kb_service.embeddings.calibration import calibrate, limit_for, similarity_at
from kb_service.entities import Calibration
from kb_service.vectors import Hit, Point, SparseVector, VectorIndex, Where
from servicekit.errors import UpstreamError

_USUAL = Calibration()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """The vector of a question, and the cosine at distance 1 for such questions."""

    vector: list[float]
    limit: float


# For each collection to ask; None: ask it by words alone.
Question = Mapping[str, Asked | None]


class Measures(Protocol):
    """What is known of a collection's vectors, so that a start needs no call to a vendor."""

    async def dense_size(self, collection: str) -> int | None: ...

    async def remember_dense_size(self, collection: str, size: int) -> None: ...

    async def calibration(self, collection: str) -> Calibration | None: ...

    async def remember_calibration(self, collection: str, calibration: Calibration) -> None: ...


class CollectionSet:
    def __init__(
        self,
        embedders: Embedders,
        open_collection: Callable[[str], VectorIndex],
        measures: Measures | None = None,
    ) -> None:
        self.embedders = embedders
        self._open_collection, self._measures = open_collection, measures
        self._open: dict[str, VectorIndex] = {}
        self._opening = anyio.Lock()
        self._calibrations: dict[str, Calibration] = {}

    async def open(self, name: str) -> VectorIndex | None:
        """None while nobody knows how long its vectors are: nothing is in it then."""
        if name not in self._open:
            async with self._opening:
                if name not in self._open:
                    await self._open_one(name)
        return self._open.get(name)

    def model_for(self, chosen: str) -> EmbeddingModel:
        """What new vectors of a knowledge base are made with, whose owner chose so."""
        model = self.embedders.wanted(chosen) or self.embedders.named(LEXICAL)
        assert model is not None
        return model

    async def embed(self, names: Iterable[str], query: str) -> Question:
        return {name: await self._vector(name, query) for name in names}

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        question: Question,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        """The best of each collection in turn, best first."""
        found: list[list[Hit]] = []
        for name, asked in question.items():
            if index := await self.open(name):
                vector = asked.vector if asked else None
                hits = await index.query(kb_id, sparse, vector, limit, where)
                found.append([_on_the_usual_scale(hit, asked) for hit in hits])
        if len(found) == 1:
            return found[0]
        return [hit for hit in chain.from_iterable(zip_longest(*found)) if hit]

    async def upsert(self, name: str, points: Sequence[Point]) -> None:
        index = await self.open(name)
        assert index is not None  # its embedder has made vectors by now
        await index.upsert(points)
        await self._measure(name)

    async def count(self, name: str, kb_id: int, version: str) -> int:
        """Its points; 0 in a collection that nothing was ever written to."""
        index = await self.open(name)
        return await index.count(kb_id, version) if index else 0

    async def delete(self, name: str | None, kb_id: int, version: str) -> None:
        """From all that are open when nobody knows any more which one has it."""
        named = await self.open(name) if name else None
        for index in [named] if named else self._open.values():
            await index.delete(kb_id, version)

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        """From every collection that is open: one of them has them."""
        for index in self._open.values():
            await index.remove(kb_id, point_ids)

    async def relabel(self, name: str, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        """What a version's points say of their file."""
        if index := await self.open(name):
            await index.relabel(kb_id, version, labels)

    async def ping(self) -> None:
        for index in self._open.values():
            await index.ping()

    async def flush(self) -> None:
        for index in self._open.values():
            await index.flush()

    async def close(self) -> None:
        for index in self._open.values():
            await index.close()

    async def _open_one(self, name: str) -> None:
        model = self.embedders.of_collection(name)
        embedder = model.embedder if model else None
        size = embedder.size if embedder else None
        if self._measures and has_vectors(name):
            known = await self._measures.dense_size(name)
            if size and size != known:
                await self._measures.remember_dense_size(name, size)
            size = size or known
        if size is None and has_vectors(name):
            return
        index = self._open_collection(name)
        await index.ensure(size)
        self._open = self._open | {name: index}  # another one: somebody may be going through it

    async def _measure(self, name: str) -> None:
        """With the first vectors of a model, once; when it fails, after the next start."""
        model = self.embedders.of_collection(name)
        if model is None or model.embedder is None or await self._calibration(name):
            return
        self._calibrations[name] = _USUAL
        try:
            calibration = await calibrate(model.embedder)
        except UpstreamError as error:
            logger.warning("the embedding model %s could not be measured: %s", name, error)
            return
        self._calibrations[name] = calibration
        if self._measures:
            await self._measures.remember_calibration(name, calibration)
        if calibration.chinese is None:
            logger.warning(
                "the embedding model %s does not know Chinese: questions in Chinese are searched "
                "by words alone. 该向量模型不支持中文，中文问题只按词检索。",
                model.name,
            )

    async def _calibration(self, name: str) -> Calibration | None:
        """Perhaps another process has measured the model since this one opened the collection."""
        if name not in self._calibrations and self._measures:
            known = await self._measures.calibration(name)
            if known:
                self._calibrations[name] = known
        return self._calibrations.get(name)

    async def _vector(self, name: str, query: str) -> Asked | None:
        model = self.embedders.of_collection(name)
        if model is None or model.embedder is None:
            return None
        limit = limit_for(await self._calibration(name) or _USUAL, query)
        if limit is None:
            return None
        try:
            return Asked(await model.embedder.embed_query(query), limit)
        except UpstreamError:
            logger.warning("searching by words alone, the embedder failed", exc_info=True)
            return None


def _on_the_usual_scale(hit: Hit, asked: Asked | None) -> Hit:
    if asked is None or hit.similarity is None:
        return hit
    return replace(hit, similarity=similarity_at(asked.limit, hit.similarity))
