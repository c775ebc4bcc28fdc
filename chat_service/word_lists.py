"""Word lists as operators manage them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chat_service.screening import Screen
from chat_service.store import WordStore
from chat_service.word_entities import WordList
from chat_service.word_schemas import MOST_WORDS
from servicekit.errors import Conflict, Invalid, NotFound

_MOST_LISTS = 100
_LONGEST_WORD = 64
_MOST_WORDS_TOGETHER = 100_000  # to search for them anew takes a second

logger = logging.getLogger(__name__)


class WordLists:
    """Changes act at once on what is asked and said in this process."""

    def __init__(self, store: WordStore, screen: Screen) -> None:
        self._store, self._screen = store, screen
        self._one_change = asyncio.Lock()

    @property
    def listed(self) -> list[WordList]:
        return self._screen.lists

    def find(self, list_id: int) -> WordList:
        """Raises NotFound."""
        found = next((one for one in self._screen.lists if one.id == list_id), None)
        if found is None:
            raise NotFound("There is no such word list. 未找到该词表。")
        return found

    async def add(self, by: str, new: WordList) -> WordList:
        """Raises Conflict, Invalid."""
        async with self._one_change:
            if len(self._screen.lists) >= _MOST_LISTS:
                raise Invalid(f"There are {_MOST_LISTS} word lists already. 词表数量已达上限。")
            self._check_total(new)
            list_id = await self._store.add(new)
            if list_id is None:
                raise Conflict(f"{new.name} is taken. 名称已存在。")
            return await self._done(by, list_id)

    async def change(self, by: str, list_id: int, given: Mapping[str, Any]) -> WordList:
        """Raises NotFound, Conflict, Invalid."""
        changes = dict(given)
        if "words" in changes:
            changes["words"] = tuple(dict.fromkeys(changes["words"]))
        return await self._edit(by, list_id, lambda before: replace(before, **changes))

    async def import_text(self, by: str, list_id: int, text: str) -> WordList:
        """The lines of a text added to the words. Raises NotFound, Invalid."""
        lines = [line.strip() for line in text.splitlines()]
        added = [line for line in lines if line and not line.startswith("#")]
        if any(len(word) > _LONGEST_WORD or not word.isprintable() for word in added):
            raise Invalid(f"A word has at most {_LONGEST_WORD} characters. 单个词过长或有误。")
        return await self._edit(by, list_id, lambda before: _with(before, added))

    async def remove(self, by: str, list_id: int) -> None:
        """Raises NotFound."""
        async with self._one_change:
            self.find(list_id)
            await self._store.remove(list_id)
            await self._screen.load()
            logger.info("word list %s was removed by %s", list_id, by)

    def _check_total(self, changed: WordList) -> None:
        others = sum(len(one.words) for one in self._screen.lists if one.id != changed.id)
        if others + len(changed.words) > _MOST_WORDS_TOGETHER:
            raise Invalid(
                f"All lists together have at most {_MOST_WORDS_TOGETHER} words."
                " 全部词表的总词数已达上限。"
            )

    async def _edit(self, by: str, list_id: int, edit: Callable[[WordList], WordList]) -> WordList:
        def checked(before: WordList) -> WordList:
            changed = edit(before)
            self._check_total(changed)
            return changed

        async with self._one_change:
            await self._screen.catch_up()
            self.find(list_id)
            if not await self._store.change(list_id, checked):
                raise Conflict("The name is taken. 名称已存在。")
            return await self._done(by, list_id)

    async def _done(self, by: str, list_id: int) -> WordList:
        await self._screen.load()
        logger.info("word list %s was changed by %s", list_id, by)
        return self.find(list_id)


def _with(before: WordList, added: list[str]) -> WordList:
    words = tuple(dict.fromkeys([*before.words, *added]))
    if len(words) > MOST_WORDS:
        raise Invalid(f"A list has at most {MOST_WORDS} words. 词表词数已达上限。")
    return replace(before, words=words)
