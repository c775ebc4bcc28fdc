"""The vector index behind one Protocol: embedded in this process or on a Qdrant server.

Only this package imports `qdrant_edge` and `qdrant_client`, each only when it is the one in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DENSE = "dense"
SPARSE = "bm25"
KB_ID = "kb_id"
VERSION = "version"
UPSERT_BATCH = 50  # the embedded engine holds the GIL for about 2 ms on as many points
RRF_K = 60


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term indices (distinct, unsigned 32 bit) and their weights."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk of one file version as the index stores it; `id` is a UUID in text form."""

    id: str
    kb_id: int
    version: str
    sparse: SparseVector
    dense: list[float] | None
    payload: dict[str, Any]  # chunk_id, file_name, content, metadata, position, perhaps context


@dataclass(frozen=True, slots=True)
class Hit:
    """A found chunk; `similarity` is the cosine, when question and chunk have dense vectors."""

    id: str
    version: str
    payload: dict[str, Any]
    similarity: float | None


class StoreInUse(Exception):
    """Another process has the embedded store open."""


class CollectionMismatch(Exception):
    """The stored collection does not fit what is asked of it."""


class VectorIndex(Protocol):
    """One collection of one embedding model; every question is about one knowledge base."""

    async def ensure(self, dense_size: int | None) -> None:
        """Open the collection or create it; raises StoreInUse or CollectionMismatch."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Returned means: survives the kill of this process (not always a power cut)."""

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        """Remove a file version, or with None everything of the knowledge base."""

    async def remove(self, point_ids: Sequence[str]) -> None:
        """Remove single points; those that are not there are no error."""

    async def query(
        self, kb_id: int, sparse: SparseVector, dense: list[float] | None, limit: int
    ) -> list[Hit]:
        """The best of this knowledge base, best first, with IDF over it alone."""

    async def count(self, kb_id: int, version: str | None = None) -> int: ...

    async def flush(self) -> None:
        """Until now every upsert survives the kill of the process; from now on a power cut too."""

    async def close(self) -> None: ...


def open_index(
    *, url: str | None, api_key: str | None, folder: Path, collection: str
) -> VectorIndex:
    """The index on the server at `url`, else the embedded one in `folder`; `ensure` opens it."""
    if url:
        from kb_service.vectors.server import QdrantIndex, connect

        return QdrantIndex(connect(url, api_key), collection)
    from kb_service.vectors.edge import EdgeIndex

    return EdgeIndex(folder / collection)
