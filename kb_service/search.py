"""Find the passages of a knowledge base that answer a question."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet, Question
from kb_service.entities import SearchFilter
from kb_service.scoring import LexicalDistance, dense_distance
from kb_service.tokens import query_vector, question_words
from kb_service.vectors import Hit, SparseVector, Where

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
class _Found:
    """A live hit, the text that is given for it, and the version of its file."""

    hit: Hit
    text: str
    file_version: str


class Search:
    """Retrieval over the live versions of a knowledge base."""

    def __init__(self, collections: CollectionSet, catalog: LiveCatalog) -> None:
        self._collections, self._catalog = collections, catalog

    async def search(
        self,
        kb_id: int,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None = None,
    ) -> list[Passage]:
        """At most `top_k` passages no farther than `score_threshold`, best first."""
        words = question_words(query)
        if top_k < 1 or not words or not self._catalog.live(kb_id):
            return []
        question = await self._collections.embed(self._catalog.collections(kb_id), query)
        found = await self._live_answers(
            kb_id, query_vector(words), question, top_k, _where(wanted)
        )
        lexical = LexicalDistance(words, lambda term: self._catalog.idf(kb_id, term))
        passages: list[Passage] = []
        for alike in found:
            score = min(_score(one.hit, lexical) for one in alike)
            if score <= score_threshold:
                passages.append(_passage(alike[0], score))
                if len(passages) == top_k:
                    break
        return passages

    async def _live_answers(
        self,
        kb_id: int,
        sparse: SparseVector,
        question: Question,
        top_k: int,
        where: Where | None,
    ) -> list[list[_Found]]:
        """For each text that can be given the chunks that led to it, best first."""
        limit = min(2 * top_k + 4, _MOST)
        while True:
            found = await self._collections.query(kb_id, sparse, question, limit, where)
            distinct = _by_answer(self._live(kb_id, found))
            if len(distinct) >= top_k or len(found) < limit or limit == _MOST:
                return distinct
            limit = min(limit * 4, _MOST)

    def _live(self, kb_id: int, hits: Iterable[Hit]) -> Iterator[_Found]:
        for hit in hits:
            if not self._catalog.answers(kb_id, hit.version, hit.payload["chunk_id"]):
                continue
            text = context = hit.payload.get("context")
            if context:
                place = hit.payload.get("position", 0)
                text = self._catalog.patched(kb_id, hit.version, place, context)
            version = self._catalog.file_version(kb_id, hit.version)
            yield _Found(hit, text or hit.payload["content"], version)


def _where(wanted: SearchFilter | None) -> Where | None:
    """As the index understands it."""
    if wanted is None or wanted == SearchFilter():
        return None
    after, before = wanted.uploaded_after, wanted.uploaded_before
    return Where(
        file_names=wanted.files,
        tags=wanted.tags,
        uploaded_from=after.timestamp() if after else None,
        uploaded_to=before.timestamp() if before else None,
        page_from=wanted.page_from,
        page_to=wanted.page_to,
    )


def _by_answer(found: Iterable[_Found]) -> list[list[_Found]]:
    """Chunks with the same text for the answer together, and with one that is in its context."""
    answers: dict[str, list[_Found]] = {}
    contexts: dict[str, list[str]] = {}
    for one in found:
        text = one.text
        if one.hit.payload.get("context") and text not in answers:
            known = contexts.setdefault(one.file_version, [])
            content = one.hit.payload["content"]
            if wider := next((context for context in known if content in context), None):
                text = wider
            else:
                known.append(text)
        answers.setdefault(text, []).append(one)
    return list(answers.values())


def _score(hit: Hit, lexical: LexicalDistance) -> float:
    by_words = lexical.of(hit.payload["content"])
    return by_words if hit.similarity is None else min(by_words, dense_distance(hit.similarity))


def _passage(found: _Found, score: float) -> Passage:
    payload = found.hit.payload
    return Passage(
        chunk_id=payload["chunk_id"],
        file_name=payload["file_name"],
        content=found.text,
        score=score,
        metadata=payload["metadata"],
    )
