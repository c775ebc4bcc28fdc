"""What may be asked and said: the operators' word lists, and a moderation endpoint for questions.

Lists act at once in the process where they are changed, and within seconds in the others.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio

from chat_service.errors import QuestionRefused, WordsBlocked
from chat_service.metering import account
from chat_service.store import WordStore
from chat_service.usage_entities import Account
from chat_service.word_entities import Hit, Place, WordList
from chat_service.words import Matcher, WordFilter

_EVERY = 2.0
_SWEPT_EVERY = 3600.0
_NOBODY = Account("", "", "")

logger = logging.getLogger(__name__)


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
        self._unwritten: list[Hit] = []
        self._seen = -1
        self.lists: list[WordList] = []

    async def load(self) -> None:
        self._seen = await self._store.revision()
        self.lists = await self._store.load()
        self._matchers = await asyncio.to_thread(_matchers, self.lists)

    async def run(self) -> None:
        """Follow what other processes change and write down what was found, until cancelled."""
        swept = -_SWEPT_EVERY
        try:
            while True:
                await asyncio.sleep(_EVERY)
                is_due = time.monotonic() - swept > _SWEPT_EVERY
                await self._keep_up(sweep=is_due)
                swept = time.monotonic() if is_due else swept
        finally:
            with anyio.CancelScope(shield=True):
                await self._keep_up(sweep=False)

    async def _keep_up(self, *, sweep: bool) -> None:
        try:
            await self.write()
            if await self._store.revision() != self._seen:
                await self.load()
            if sweep:
                oldest = datetime.now(UTC) - timedelta(days=self._retention_days)
                await self._store.forget(before=oldest)
        except Exception:  # whatever it is, the lists stay as they are until it is over
            logger.exception("word lists could not be read, or hits not written")

    async def write(self) -> None:
        hits, self._unwritten = self._unwritten, []
        if hits:
            try:
                await self._store.note(hits)
            except BaseException:
                self._unwritten = hits + self._unwritten
                raise

    async def question(self, text: str) -> str:
        """As the model may read it. Raises WordsBlocked, QuestionRefused."""
        if matcher := self._matchers.get("question"):
            words = WordFilter(matcher)
            text = words.feed(text) + words.close()
            self.note(words, "question")
            if words.is_blocked:
                raise WordsBlocked
        if self._moderation and await self._moderation.flags(text):
            raise QuestionRefused
        return text

    def known_question(self, text: str) -> str:
        """A question that was allowed already, as the model may read it once more."""
        matcher = self._matchers.get("question")
        words = WordFilter(matcher) if matcher else None
        return words.feed(text) + words.close() if words else text

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
            self._unwritten.append(
                Hit(*about, who.mode[:40], who.client_id, who.user_id, hits, now)
            )


def _matchers(lists: list[WordList]) -> dict[Place, Matcher]:
    places: tuple[Place, ...] = ("question", "answer")
    found = {
        place: Matcher(one for one in lists if one.enabled and one.applies_to in (place, "both"))
        for place in places
    }
    return {place: matcher for place, matcher in found.items() if matcher}
