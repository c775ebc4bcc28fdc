"""What is on the management wire about a search."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from kb_service.highlighting import highlights
from kb_service.schemas import SearchFilterBody
from kb_service.search import Leg, Passage


class SearchBody(BaseModel):
    """`rerank` null: where a reranker is configured."""

    query: Annotated[str, Field(max_length=10_000)]
    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    score_threshold: Annotated[float, Field(ge=0, le=2)] = 1
    filter: SearchFilterBody | None = None
    rerank: bool | None = None


class FoundPassage(BaseModel):
    """Distances are from 0 to 2, lower is better, and `score` is the smaller one of them.

    `found_by` says which searches alone would have had it among the first; `highlights` are ranges
    of characters of `content`; `relevance` is the reranker's, higher is better.
    """

    file_name: str
    content: str
    highlights: list[tuple[int, int]]
    score: float
    by_words: float
    by_meaning: float | None
    relevance: float | None
    found_by: list[Leg]
    chunk_ids: list[str]
    metadata: dict[str, Any]


class SearchResult(BaseModel):
    """`took_ms` is what the same search takes a chat."""

    items: list[FoundPassage]
    took_ms: float
    reranked: bool

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        passages: Collection[Passage],
        legs: Mapping[Leg, frozenset[str]],
        took_ms: float,
    ) -> "SearchResult":
        return cls(
            items=[_item(passage, words, legs) for passage in passages],
            took_ms=round(took_ms, 2),
            reranked=any(passage.relevance is not None for passage in passages),
        )


def _item(
    passage: Passage, words: Sequence[str], legs: Mapping[Leg, frozenset[str]]
) -> FoundPassage:
    return FoundPassage(
        file_name=passage.file_name,
        content=passage.content,
        highlights=highlights(words, passage.content),
        score=passage.score,
        by_words=passage.by_words,
        by_meaning=passage.by_meaning,
        relevance=passage.relevance,
        found_by=[leg for leg, ids in legs.items() if not ids.isdisjoint(passage.chunk_ids)],
        chunk_ids=list(passage.chunk_ids),
        metadata=passage.metadata,
    )
