"""What may be asked and said: the operators' word lists, and a moderation endpoint for questions.

Lists act at once in the process where they are changed, and within seconds in the others.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chat_service.errors import QuestionRefused, WordsBlocked
from chat_service.history import USER, Message
from chat_service.metering import account
from chat_service.store import WordStore
from chat_service.usage_entities import Account
from chat_service.word_entities import Hit, Place, WordList
from chat_service.words import Matcher, WordFilter
from chat_service.write_behind import WriteBehind

_NOBODY = Account("", "", "")
_NOTHING_LEFT = "…"  # vendors refuse empty messages, and two answers without a question between


class Moderation(Protocol):
    """Whether a text is flagged; False as well when nobody can tell."""

    async def flags(self, text: str) -> bool: ...


class Screen:
    """Questions and answers without the words of the lists."""

    def __init__(
        self, store: WordStore, moderation: Moderation | None, *, retention_days: int
    ) -> None:
        self._store, self._moderation = store, moderation
        self._retention_days = retention_days
        self._matchers: dict[Place, Matcher] = {}
        self._hits = WriteBehind(store.note)
        self._seen = -1
        self._loading = asyncio.Lock()  # else an older state could come after a newer one
        self.lists: list[WordList] = []

    async def load(self) -> None:
        async with self._loading:
            seen = await self._store.revision()
            lists = await self._store.load()
            matchers = await asyncio.to_thread(_matchers, lists)
            self.lists, self._matchers, self._seen = lists, matchers, seen

    async def catch_up(self) -> None:
        """Take over what other processes changed."""
        if await self._store.revision() != self._seen:
            await self.load()

    async def sweep(self) -> None:
        """Forget hits that are too old."""
        oldest = datetime.now(UTC) - timedelta(days=self._retention_days)
        await self._store.forget(before=oldest)

    async def write(self) -> None:
        await self._hits.write()

    async def question(self, text: str) -> str:
        """As the model may read it. Raises WordsBlocked, QuestionRefused."""
        if matcher := self._matchers.get("question"):
            words = WordFilter(matcher)
            text = _left(words, text)
            self.note(words, "question")
            if words.is_blocked:
                raise WordsBlocked
        if self._moderation and await self._moderation.flags(text):
            raise QuestionRefused
        return text

    def known(self, history: Iterable[Message]) -> list[Message]:
        """Earlier messages as a model may read them once more; nothing is noted or refused.

        Their roles are the vendors', and what they say is text, else words could hide in it.
        """
        return [
            Message(USER, self.known_question(said.content)) if said.role == USER else said
            for said in history
        ]

    def known_question(self, text: str) -> str:
        """An earlier question as a model may read it: without words, up to one that blocks."""
        matcher = self._matchers.get("question")
        return _left(WordFilter(matcher), text) if matcher else text

    def answer(self) -> WordFilter | None:
        """A filter for one answer; None when nothing is looked for."""
        matcher = self._matchers.get("answer")
        return WordFilter(matcher) if matcher else None

    def whole_answer(self, pieces: list[str]) -> list[str]:
        """An answer that is there at once. Raises WordsBlocked."""
        words = self.answer()
        if words is None:
            return pieces
        shown = [words.feed(piece) for piece in pieces]
        shown.append(words.close())
        self.note(words, "answer")
        if words.is_blocked:
            raise WordsBlocked
        return shown

    def note(self, words: WordFilter, found_in: Place) -> None:
        """For the log: of which lists, how often and for whom; never the text."""
        who, now = account.get() or _NOBODY, datetime.now(UTC)
        for number, hits in words.found.items():
            found_by = words.lists[number]
            about = (found_by.name, found_by.action, found_in)
            self._hits.note(Hit(*about, who.mode[:40], who.client_id, who.user_id, hits, now))


def _left(words: WordFilter, question: str) -> str:
    """The question without words, never empty that was not."""
    return words.feed(question) + words.close() or (question and _NOTHING_LEFT)


def _matchers(lists: list[WordList]) -> dict[Place, Matcher]:
    places: tuple[Place, ...] = ("question", "answer")
    found = {
        place: Matcher(one for one in lists if one.enabled and one.applies_to in (place, "both"))
        for place in places
    }
    return {place: matcher for place, matcher in found.items() if matcher}
