"""The collection of the configured embedding model, and earlier ones that are still needed.

After a change of the model, files that were indexed before are found by words alone, in the
collection that they are in, until `recreate_vector_store` moves them into the current one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kb_service.vectors import Hit, Point, SparseVector, VectorIndex, Where


class CollectionSet:
    """A VectorIndex over several: writes go to the current one, questions to all that matter."""

    def __init__(self, current: str, open_collection: Callable[[str], VectorIndex]) -> None:
        self.current = current
        self._open_collection = open_collection
        self._index = open_collection(current)
        self._earlier: dict[str, VectorIndex] = {}
        self._readers: dict[int, set[str]] = {}
        self.is_open = False

    async def ensure(self, dense_size: int | None) -> None:
        await self._index.ensure(dense_size)
        self.is_open = True

    async def read_earlier(self, name: str, kb_id: int, dense_size: int | None) -> None:
        """Have questions about a knowledge base answered from an earlier collection too."""
        if name not in self._earlier:
            self._earlier[name] = self._open_collection(name)
            await self._earlier[name].ensure(dense_size)
        self._readers.setdefault(kb_id, set()).add(name)

    def holds(self, name: str) -> bool:
        """Whether the collection is open."""
        return name in self._earlier or (name == self.current and self.is_open)

    async def delete_from(self, name: str, kb_id: int, version: str) -> None:
        await self._earlier.get(name, self._index).delete(kb_id, version)

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        """From every collection that is open: one of them has them."""
        for index in (*([self._index] if self.is_open else ()), *self._earlier.values()):
            await index.remove(kb_id, point_ids)

    async def upsert(self, points: Sequence[Point]) -> None:
        await self._index.upsert(points)

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        await self._index.delete(kb_id, version)

    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        """In every collection that may have it."""
        earlier = (self._earlier[name] for name in self._readers.get(kb_id, ()))
        for index in (*([self._index] if self.is_open else ()), *earlier):
            await index.relabel(kb_id, version, labels)

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float] | None,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        hits: list[Hit] = []
        if self.is_open:
            hits = await self._index.query(kb_id, sparse, dense, limit, where)
        for name in self._readers.get(kb_id, ()):
            hits += await self._earlier[name].query(kb_id, sparse, None, limit, where)
        return hits

    async def count(self, kb_id: int, version: str | None = None) -> int:
        return await self._index.count(kb_id, version) if self.is_open else 0

    async def ping(self) -> None:
        if self.is_open:
            await self._index.ping()

    async def flush(self) -> None:
        if self.is_open:
            await self._index.flush()

    async def close(self) -> None:
        for index in (self._index, *self._earlier.values()):
            await index.close()
