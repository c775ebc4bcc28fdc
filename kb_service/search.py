"""Find the passages of a knowledge base that answer a question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.entities import SearchFilter
from kb_service.findings import Finding, Found, by_answer, without_copies
from kb_service.findings.neighbours import Group, grouped
from kb_service.findings.variety import varied
from kb_service.rerank import Reranker, relevance
from kb_service.scoring import LexicalDistance, dense_distance
from kb_service.tokens import LEXICAL_RECIPE
from kb_service.vectors import Hit, SparseVector, Where
from kb_service.wording import Lexicon, Wording, literal

_MOST = 4096  # hits asked for, however many of them are of replaced versions
_SPARE = 4  # hits beyond those that are enough, for what turns out to be no answer of its own
_QUOTED = 100  # hits among which a quoted phrase is looked for
_RERANKED_MAX = 50  # a reranker reads each of them
_NO_TERMS = SparseVector([], [])
# A question of all kinds of words.
_PROBE = "三码合一的 AB-1203 型号，如何在企业微信中配置 user's Wi-Fi 与數據備份？"

Leg = Literal["words", "meaning"]


@dataclass(frozen=True, slots=True)
class Passage:
    """What found chunks give to the answer: their context if they have one, else themselves.

    `score` is the distance of the best of them from 0 to 2, lower is better: the smaller one of
    `by_words` and `by_meaning`. `relevance` is the reranker's, higher is better.
    """

    chunk_id: str
    file_name: str
    content: str
    score: float
    metadata: dict[str, Any]
    chunk_ids: tuple[str, ...]
    by_words: float
    by_meaning: float | None
    relevance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    kb_id: int
    query: str
    wording: Wording
    top_k: int
    score_threshold: float
    wanted: SearchFilter | None
    rerank: bool


class Search:
    """Retrieval over the live versions of a knowledge base."""

    def __init__(
        self,
        collections: CollectionSet,
        catalog: LiveCatalog,
        reranker: Reranker | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self._collections, self._catalog, self._reranker = collections, catalog, reranker
        self._lexicon = lexicon or Lexicon()

    @property
    def recipe(self) -> str:
        """Another text when questions are searched for in another way."""
        reranker = self._reranker.model if self._reranker else ""
        probe = self.wording(_PROBE)
        return repr((LEXICAL_RECIPE, probe, self._lexicon, reranker))

    def wording(self, query: str) -> Wording:
        """What a question asks for by its words."""
        return self._lexicon.wording(query)

    async def search(
        self,
        kb_id: int,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None = None,
    ) -> list[Passage]:
        """At most `top_k` passages no farther than `score_threshold`, best first.

        Each is of one chunk, for those who expect chunks.
        """
        asked = self._asked(kb_id, query, top_k, score_threshold, wanted, rerank=None)
        findings = await self._findings(asked, enough=top_k)
        return [_of_one(finding) for finding in findings[:top_k]]

    async def passages(
        self,
        kb_id: int,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None = None,
        rerank: bool | None = None,
    ) -> list[Passage]:
        """The same, with neighbouring chunks in one passage, and nothing said twice.

        By default they are reranked where there is a reranker.
        """
        asked = self._asked(kb_id, query, top_k, score_threshold, wanted, rerank=rerank)
        findings = await self._findings(asked, enough=2 * top_k)
        groups = grouped(without_copies(findings))
        return [_of_group(group) for group in varied(groups, top_k)]

    async def legs(
        self, kb_id: int, query: str, *, top_k: int, wanted: SearchFilter | None = None
    ) -> Mapping[Leg, frozenset[str]]:
        """Ids of the chunks that words alone find, and that vectors alone find."""
        sparse = self.wording(query).vector
        dense = await self._collections.embed(self._catalog.collections(kb_id), query)
        limit, where = min(2 * top_k + _SPARE, _MOST), _where(wanted)
        by_words = dict.fromkeys(dense)
        found: dict[Leg, list[Hit]] = {
            "words": await self._collections.query(kb_id, sparse, by_words, limit, where),
            "meaning": await self._collections.query(kb_id, _NO_TERMS, dense, limit, where),
        }
        return {
            leg: frozenset(hit.payload["chunk_id"] for hit in hits) for leg, hits in found.items()
        }

    def _asked(
        self,
        kb_id: int,
        query: str,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None,
        *,
        rerank: bool | None,
    ) -> _Asked:
        return _Asked(
            kb_id=kb_id,
            query=query,
            wording=self.wording(query),
            top_k=top_k,
            score_threshold=score_threshold,
            wanted=wanted,
            rerank=rerank is not False and self._reranker is not None,
        )

    async def _findings(self, asked: _Asked, enough: int) -> list[Finding]:
        """Those near enough, best first; as many as are enough, if there are."""
        if asked.top_k < 1 or not asked.wording.words or not self._catalog.live(asked.kb_id):
            return []
        if asked.rerank:
            enough = max(enough, _reranked_of(asked))
        lexical = LexicalDistance(
            (asked.wording.words, *asked.wording.variants),
            lambda term: self._catalog.idf(asked.kb_id, term),
            self._catalog.chunks(asked.kb_id),
            asked.wording.names,
        )
        answers = await self._live_answers(asked, enough)
        findings = (_finding(chunks, lexical) for chunks in answers)
        near = (one for one in findings if one.score <= asked.score_threshold)
        nearest = list(islice(near, enough + _SPARE))
        if len(self._catalog.collections(asked.kb_id)) > 1:
            # Ranks in two collections cannot be compared, distances can.
            nearest.sort(key=lambda one: one.score)
        return await self._reranked(asked, nearest) if asked.rerank else nearest

    async def _reranked(self, asked: _Asked, findings: list[Finding]) -> list[Finding]:
        most = _reranked_of(asked)
        first, rest = findings[:most], findings[most:]
        texts = [finding.text for finding in first]
        told = await relevance(self._reranker, asked.query, texts)
        if told is None:
            return findings
        judged = [replace(one, relevance=value) for one, value in zip(first, told, strict=True)]
        return sorted(judged, key=lambda one: -(one.relevance or 0.0)) + rest

    async def _live_answers(self, asked: _Asked, enough: int) -> list[list[Found]]:
        """For each text that can be given the chunks that led to it, best first."""
        kb_id, where = asked.kb_id, _where(asked.wanted)
        question = await self._collections.embed(self._catalog.collections(kb_id), asked.query)
        sparse, phrases = asked.wording.vector, asked.wording.phrases
        limit = min(max(2 * asked.top_k, enough, _QUOTED if phrases else 0) + _SPARE, _MOST)
        while True:
            found = await self._collections.query(kb_id, sparse, question, limit, where)
            distinct = by_answer(self._live(kb_id, found))
            if len(distinct) >= enough or len(found) < limit or limit == _MOST:
                return _literal_only(distinct, phrases)
            limit = min(limit * 4, _MOST)

    def _live(self, kb_id: int, hits: Iterable[Hit]) -> Iterator[Found]:
        for hit in hits:
            if not self._catalog.answers(kb_id, hit.version, hit.payload["chunk_id"]):
                continue
            position = hit.payload.get("position", 0)
            text = context = hit.payload.get("context")
            if context:
                text = self._catalog.patched(kb_id, hit.version, position, context)
            place = self._catalog.place_of(kb_id, hit.version, position)
            yield Found(hit, text or hit.payload["content"], *place)


def _literal_only(answers: list[list[Found]], phrases: Sequence[str]) -> list[list[Found]]:
    """What has the quoted phrases as they are, where anything has."""
    if not phrases:
        return answers
    return [one for one in answers if any(literal(x.text, phrases) for x in one)] or answers


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


def _reranked_of(asked: _Asked) -> int:
    return min(4 * asked.top_k, _RERANKED_MAX)


def _finding(chunks: list[Found], lexical: LexicalDistance) -> Finding:
    similarities = [one.hit.similarity for one in chunks if one.hit.similarity is not None]
    return Finding(
        chunks,
        by_words=min(lexical.of(one.hit.payload["content"]) for one in chunks),
        by_meaning=dense_distance(max(similarities)) if similarities else None,
    )


def _of_group(group: Group) -> Passage:
    passage = _of_one(group.best)
    if len(group.members) == 1:
        return passage
    pages = [page for member in group.members for page in member.pages]
    metadata = passage.metadata
    if pages and min(pages) < max(pages):
        metadata = metadata | {"page": min(pages), "page_to": max(pages)}
    return replace(
        passage,
        content=group.text,
        score=min(member.score for member in group.members),
        metadata=metadata,
        chunk_ids=tuple(member.chunks[0].chunk_id for member in group.members),
    )


def _of_one(finding: Finding) -> Passage:
    first = finding.chunks[0]
    return Passage(
        chunk_id=first.chunk_id,
        file_name=finding.file_name,
        content=finding.text,
        score=finding.score,
        metadata=finding.metadata,
        chunk_ids=(first.chunk_id,),
        by_words=finding.by_words,
        by_meaning=finding.by_meaning,
        relevance=finding.relevance,
    )
