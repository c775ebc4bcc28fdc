"""Find the passages of a knowledge base that answer a question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kb_service.embeddings import Embedder
from kb_service.vectors import VectorIndex


@dataclass(frozen=True, slots=True)
class Passage:
    """A found chunk; `score` is a distance from 0 to 2, lower is better."""

    chunk_id: str
    file_name: str
    content: str
    score: float
    metadata: dict[str, Any]


class LiveCatalog:
    """Per knowledge base: which file versions are live and in how many chunks a term occurs."""

    def publish(
        self, kb_id: int, version: str, *, term_counts: Mapping[str, int], chunks: int
    ) -> None:
        raise NotImplementedError

    def withdraw(self, kb_id: int, version: str) -> None:
        raise NotImplementedError

    def drop(self, kb_id: int) -> None:
        raise NotImplementedError


class Search:
    """Retrieval over the live versions of a knowledge base."""

    def __init__(self, index: VectorIndex, catalog: LiveCatalog, embedder: Embedder | None) -> None:
        raise NotImplementedError

    async def search(
        self, kb_id: int, query: str, *, top_k: int, score_threshold: float
    ) -> list[Passage]:
        """At most `top_k` passages no farther than `score_threshold`, best first."""
        raise NotImplementedError
