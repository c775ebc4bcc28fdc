"""Searches, counted in memory and written down every few seconds, so that none waits for SQL.

A kill of the process loses what was counted in the last seconds; a stop loses nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import anyio

from kb_service.entities import KnowledgeBase, Missed, SearchCounts, SearchFilter, Statistics
from kb_service.question_keys import LONGEST, question_key
from kb_service.repeating import attempt, repeat
from kb_service.search import Passage, Search
from kb_service.store import MISSED_KEPT, StatisticsStore
from kb_service.wording import Wording

_WRITTEN_EVERY = 5.0  # seconds
_ASKED_MAX = 1_000  # distinct questions of a knowledge base in that time


class Tally:
    """What happened since it was last written down."""

    def __init__(
        self,
        store: StatisticsStore,
        *,
        every: float = _WRITTEN_EVERY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._every, self._clock = store, every, clock
        self._counts: dict[int, SearchCounts] = {}
        self._writing = anyio.Lock()

    def note_search(self, kb_id: int, query: str, *, found: bool) -> None:
        counts = self._of(kb_id)
        counts.searches += 1
        counts.last_search = self._clock()
        if not found:
            counts.misses += 1
            self._note_missed(counts, query)

    def note_question(self, kb_id: int, query: str) -> None:
        """What a chat asks: a tap, should it turn out to be a recommended question."""
        key, counts = question_key(query), self._of(kb_id)
        if key and (key in counts.asked or len(counts.asked) < _ASKED_MAX):
            counts.asked[key] += 1

    async def of(self, kb: KnowledgeBase) -> Statistics:
        """Up to this moment; what other processes count comes within seconds."""
        await self.catch_up()
        return await self._store.of(kb.id)

    async def write(self) -> None:
        # Shielded: cancelled in the middle, nobody would know whether it was written.
        with anyio.CancelScope(shield=True):
            async with self._writing:
                counts, self._counts = self._counts, {}
                try:
                    if counts:
                        await self._store.add(counts)
                except BaseException:
                    for kb_id, unwritten in counts.items():
                        self._put_back(kb_id, unwritten)
                    raise

    async def catch_up(self) -> None:
        """The same for whom it is no reason to fail: what was counted is kept."""
        await attempt(self.write)

    async def run(self) -> None:
        """Until cancelled, and then once more."""
        try:
            await repeat(self.write, every=self._every)
        finally:
            with anyio.CancelScope(shield=True):
                await self.catch_up()

    def _of(self, kb_id: int) -> SearchCounts:
        if kb_id not in self._counts:
            self._counts[kb_id] = SearchCounts(self._clock())
        return self._counts[kb_id]

    def _note_missed(self, counts: SearchCounts, query: str) -> None:
        shown = "".join(c for c in " ".join(query.split()) if c.isprintable())[:LONGEST]
        key = question_key(shown)
        if not key:
            return
        before = counts.missed.pop(key, None)  # the last one is the newest
        count = before.count + 1 if before else 1
        counts.missed[key] = Missed(shown, count, counts.last_search)
        if len(counts.missed) > MISSED_KEPT:
            del counts.missed[next(iter(counts.missed))]

    def _put_back(self, kb_id: int, unwritten: SearchCounts) -> None:
        newer = self._counts.get(kb_id)
        self._counts[kb_id] = unwritten
        if newer is None:
            return
        unwritten.searches += newer.searches
        unwritten.misses += newer.misses
        unwritten.last_search = newer.last_search
        unwritten.asked.update(newer.asked)
        for key, one in newer.missed.items():
            before = unwritten.missed.pop(key, None)
            count = one.count + (before.count if before else 0)
            unwritten.missed[key] = Missed(one.query, count, one.last_time)


class CountedSearch:
    """Retrieval that is counted: what is asked, and what the knowledge base does not know."""

    def __init__(self, search: Search, tally: Tally) -> None:
        self._search, self._tally = search, tally

    async def search(
        self,
        kb: KnowledgeBase,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None = None,
    ) -> list[Passage]:
        """Passages of one chunk each."""
        passages = await self._search.search(
            kb.id, query, top_k=top_k, score_threshold=score_threshold, wanted=wanted
        )
        self._note(kb, query, found=bool(passages), asked=top_k > 0)
        return passages

    async def search_for_chat(
        self,
        kb: KnowledgeBase,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None = None,
    ) -> list[Passage]:
        """What an answer is made of; the query may be a recommended question that was tapped."""
        self._tally.note_question(kb.id, query)
        passages = await self._search.passages(
            kb.id, query, top_k=top_k, score_threshold=score_threshold, wanted=wanted
        )
        self._note(kb, query, found=bool(passages), asked=top_k > 0)
        return passages

    def wording(self, query: str) -> Wording:
        return self._search.wording(query)

    def _note(self, kb: KnowledgeBase, query: str, *, found: bool, asked: bool) -> None:
        # A greeting asks for nothing, so it misses nothing.
        if found or (asked and self._search.wording(query).words):
            self._tally.note_search(kb.id, query, found=found)
