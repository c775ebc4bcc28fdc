"""The vector index behind one Protocol, embedded or on a Qdrant server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


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
    payload: dict[str, Any]  # chunk_id, file_name, content, metadata


@dataclass(frozen=True, slots=True)
class Hit:
    """A stored chunk that a query found, best first in its list; `dense` when one is stored."""

    id: str
    version: str
    payload: dict[str, Any]
    dense: list[float] | None


class StoreInUse(Exception):
    """Another process has the embedded store open."""


class VectorIndex(Protocol):
    """One collection of one embedding model; every question is about one knowledge base."""

    async def ensure(self, dense_size: int | None) -> None: ...

    async def upsert(self, points: Sequence[Point]) -> None: ...

    async def delete(self, kb_id: int, version: str | None = None) -> None: ...

    async def query(
        self, kb_id: int, sparse: SparseVector, dense: list[float] | None, limit: int
    ) -> list[Hit]: ...

    async def count(self, kb_id: int, version: str | None = None) -> int: ...

    async def close(self) -> None: ...


def open_index(
    *, url: str | None, api_key: str | None, folder: Path, collection: str
) -> VectorIndex:
    """The index on the server at `url`, else the embedded one in `folder`.

    Raises StoreInUse when another process has that folder open.
    """
    raise NotImplementedError
