"""Find the passages of a knowledge base that answer a question."""

import logging
from array import array
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from kb_service.embeddings import Embedder
from kb_service.scoring import LexicalDistance, dense_distance, idf
from kb_service.tokens import is_ideographic, query_vector, question_words
from kb_service.vectors import Hit, SparseVector, VectorIndex
from servicekit.errors import UpstreamError

_MOST = 4096  # hits asked for, however many of them are of replaced versions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passage:
    """What a found chunk gives to the answer: its context if it has one, else itself.

    `score` is the chunk's distance from 0 to 2, lower is better.
    """

    chunk_id: str
    file_name: str
    content: str
    score: float
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Version:
    chunks: int
    terms: "array[int]"
    counts: "array[int]"


@dataclass(slots=True)
class _Base:
    chunks: int = 0
    frequencies: dict[int, int] = field(default_factory=dict)
    versions: dict[str, _Version] = field(default_factory=dict)


class LiveCatalog:
    """Per knowledge base: which file versions are live and in how many chunks a term occurs.

    Words of several ideographs weigh what their characters weigh, so only characters and words of
    spaced scripts are kept.
    """

    def __init__(self) -> None:
        self._bases: dict[int, _Base] = {}
        self._numbers: dict[str, int] = {}

    def publish(
        self, kb_id: int, version: str, *, term_counts: Mapping[str, int], chunks: int
    ) -> None:
        base = self._bases.setdefault(kb_id, _Base())
        if version in base.versions:
            return
        kept = {
            self._numbers.setdefault(term, len(self._numbers)): count
            for term, count in term_counts.items()
            if len(term) == 1 or not is_ideographic(term)
        }
        for number, count in kept.items():
            base.frequencies[number] = base.frequencies.get(number, 0) + count
        base.versions[version] = _Version(chunks, array("I", kept), array("I", kept.values()))
        base.chunks += chunks

    def withdraw(self, kb_id: int, version: str) -> None:
        base = self._bases.get(kb_id)
        gone = base.versions.pop(version, None) if base else None
        if base is None or gone is None:
            return
        base.chunks -= gone.chunks
        for number, count in zip(gone.terms, gone.counts, strict=True):
            base.frequencies[number] -= count
            if not base.frequencies[number]:
                del base.frequencies[number]

    def drop(self, kb_id: int) -> None:
        self._bases.pop(kb_id, None)

    def live(self, kb_id: int) -> Set[str]:
        base = self._bases.get(kb_id)
        return base.versions.keys() if base else frozenset()

    def idf(self, kb_id: int, term: str) -> float:
        base = self._bases.get(kb_id) or _Base()
        number = self._numbers.get(term, -1)
        return idf(base.chunks, base.frequencies.get(number, 0))


class Search:
    """Retrieval over the live versions of a knowledge base."""

    def __init__(self, index: VectorIndex, catalog: LiveCatalog, embedder: Embedder | None) -> None:
        self._index, self._catalog, self._embedder = index, catalog, embedder

    async def search(
        self, kb_id: int, query: str, *, top_k: int, score_threshold: float
    ) -> list[Passage]:
        """At most `top_k` passages no farther than `score_threshold`, best first."""
        words = question_words(query)
        if top_k < 1 or not words or not self._catalog.live(kb_id):
            return []
        dense = await self._embed(query)
        found = await self._live_answers(kb_id, query_vector(words), dense, top_k)
        lexical = LexicalDistance(words, lambda term: self._catalog.idf(kb_id, term))
        passages: list[Passage] = []
        for hits in found:
            score = min(_score(hit, lexical) for hit in hits)
            if score <= score_threshold:
                passages.append(_passage(hits[0], score))
                if len(passages) == top_k:
                    break
        return passages

    async def _embed(self, query: str) -> list[float] | None:
        if self._embedder is None:
            return None
        try:
            return (await self._embedder.embed([query]))[0]
        except UpstreamError:
            logger.warning("searching by words alone, the embedder failed", exc_info=True)
            return None

    async def _live_answers(
        self, kb_id: int, sparse: SparseVector, dense: list[float] | None, top_k: int
    ) -> list[list[Hit]]:
        """For each text that can be given the chunks that led to it, best first."""
        limit = min(2 * top_k + 4, _MOST)
        while True:
            found = await self._index.query(kb_id, sparse, dense, limit)
            live = self._catalog.live(kb_id)
            distinct = _by_answer(hit for hit in found if hit.version in live)
            if len(distinct) >= top_k or len(found) < limit or limit == _MOST:
                return distinct
            limit = min(limit * 4, _MOST)


def _by_answer(hits: Iterable[Hit]) -> list[list[Hit]]:
    """Chunks with the same text for the answer together, and with one that is in its context."""
    answers: dict[str, list[Hit]] = {}
    contexts: dict[str, list[str]] = {}
    for hit in hits:
        text = _answer(hit)
        if hit.payload.get("context") and text not in answers:
            known = contexts.setdefault(hit.version, [])
            content = hit.payload["content"]
            if wider := next((context for context in known if content in context), None):
                text = wider
            else:
                known.append(text)
        answers.setdefault(text, []).append(hit)
    return list(answers.values())


def _answer(hit: Hit) -> str:
    text: str = hit.payload.get("context") or hit.payload["content"]
    return text


def _score(hit: Hit, lexical: LexicalDistance) -> float:
    by_words = lexical.of(hit.payload["content"])
    return by_words if hit.similarity is None else min(by_words, dense_distance(hit.similarity))


def _passage(hit: Hit, score: float) -> Passage:
    return Passage(
        chunk_id=hit.payload["chunk_id"],
        file_name=hit.payload["file_name"],
        content=_answer(hit),
        score=score,
        metadata=hit.payload["metadata"],
    )
