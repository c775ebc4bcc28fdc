"""Recommended questions: what the page offers to ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import Protocol

from kb_service.entities import KnowledgeBase, NewQuestion, Question
from kb_service.errors import NoSuchQuestion, OutOfReach, QuestionTaken
from kb_service.question_keys import question_key
from kb_service.questions.picking import pick
from kb_service.questions.suggesting import Suggestion, suggestions
from kb_service.store import QuestionStore, Shelf
from servicekit.identity import Caller

_AT_ONCE_MAX = 100
_OPERATORS = "admin"  # whose questions of free chat are offered to the users of all clients


class KnowledgeBases(Protocol):
    """What a caller may see and write."""

    def names(self, caller: Caller) -> list[str]: ...
    def find(self, name: str, caller: Caller) -> KnowledgeBase | None: ...
    def writable(self, name: str, caller: Caller) -> KnowledgeBase: ...
    def all_writable(self, caller: Caller) -> list[KnowledgeBase]: ...


@dataclass(frozen=True, slots=True)
class QuestionPage:
    """Some of many."""

    items: list[Question]
    total: int


@dataclass(frozen=True, slots=True)
class Filter:
    """None is no matter which; an empty `kb_name` is free chat."""

    kb_name: str | None = None
    enabled: bool | None = None
    text: str = ""


class Questions:
    """A question belongs to a knowledge base, and whoever may write that may change it; or to free
    chat, and then to the client that added it, whose users it is offered to, or to the operators.
    """

    def __init__(
        self,
        store: QuestionStore,
        knowledge_bases: KnowledgeBases,
        *,
        chance: Random | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._knowledge_bases = store, knowledge_bases
        self._chance, self._clock = chance or SystemRandom(), clock

    async def pick(self, caller: Caller, number: int, kb_name: str | None) -> list[Question]:
        """By chance: of everything that the caller sees (None), of free chat (empty) or of one."""
        candidates = await self._store.candidates(self._offered(caller, kb_name))
        number = max(0, min(number, _AT_ONCE_MAX))
        chosen = pick(candidates, number, self._chance, self._clock())
        return await self._store.find_all([one.id for one in chosen])

    async def tap(self, caller: Caller, question_id: int) -> None:
        """Raises NoSuchQuestion when it is not offered to the caller."""
        if not await self._store.tap(question_id, self._offered(caller, None)):
            raise NoSuchQuestion

    async def page(
        self, caller: Caller, wanted: Filter, *, page: int, page_size: int
    ) -> QuestionPage:
        """Those that the caller may change, the newest first. Raises NoSuchKnowledgeBase."""
        shelf = self._changeable(caller)
        if wanted.kb_name:
            shelf = Shelf([self._knowledge_bases.writable(wanted.kb_name, caller).name], ())
        elif wanted.kb_name == "":
            shelf = Shelf([], shelf.owners)
        found, total = await self._store.page(
            shelf,
            enabled=wanted.enabled,
            text=wanted.text,
            start=(page - 1) * page_size,
            limit=page_size,
        )
        return QuestionPage(found, total)

    async def find(self, caller: Caller, question_id: int) -> Question:
        """One that the caller may change. Raises NoSuchQuestion."""
        found = await self._store.find(question_id, self._changeable(caller))
        if found is None:
            raise NoSuchQuestion
        return found

    async def add(self, caller: Caller, new: NewQuestion) -> Question:
        """Raises NoSuchKnowledgeBase, OutOfReach, or QuestionTaken."""
        place = self.place(caller, new.kb_name)
        owner = _owner(caller)
        await self._refuse_known(new, owner)
        (added,) = await self._store.add_all([new], place, owner_client=owner)
        return added

    async def add_all(
        self, caller: Caller, new: Sequence[NewQuestion], kb_name: str | None
    ) -> list[bool]:
        """Whether each is new there. Raises NoSuchKnowledgeBase or OutOfReach."""
        place = self.place(caller, kb_name)
        owner, added = _owner(caller), list[NewQuestion]()
        known = set(await self._store.keys(Shelf.only(kb_name, owner)))
        results = []
        for one in new:
            key = question_key(one.query) or ""
            results.append(key not in known)
            if results[-1]:
                known.add(key)
                added.append(one)
        if added:
            await self._store.add_all(added, place, owner_client=owner)
        return results

    async def change(self, caller: Caller, question_id: int, changed: NewQuestion) -> Question:
        """Raises NoSuchQuestion, NoSuchKnowledgeBase, OutOfReach or QuestionTaken."""
        place = self.place(caller, changed.kb_name)
        known = await self.find(caller, question_id)
        if _words(known) != _words(changed):
            await self._refuse_known(changed, known.owner_client)
        if not await self._store.change(question_id, changed, place, self._changeable(caller)):
            raise NoSuchQuestion
        return await self.find(caller, question_id)

    async def remove(self, caller: Caller, question_id: int) -> None:
        """Raises NoSuchQuestion."""
        if not await self._store.remove(question_id, self._changeable(caller)):
            raise NoSuchQuestion

    async def save(
        self, caller: Caller, question_id: int | None, query: str, kb_name: str | None
    ) -> bool:
        """As the old wire does: insert, or change the one with the id; False when it is not theirs.

        Raises NoSuchKnowledgeBase or OutOfReach.
        """
        kb_name = kb_name or None
        place = self.place(caller, kb_name)
        if question_id is None:
            new = [NewQuestion(query, kb_name)]
            await self._store.add_all(new, place, owner_client=_owner(caller))
            return True
        known = await self._store.find(question_id, self._changeable(caller))
        if known is None:
            return False
        changed = NewQuestion(query, kb_name, known.answer, known.enable)
        return await self._store.change(question_id, changed, place, self._changeable(caller))

    async def suggest(self, kb: KnowledgeBase, number: int) -> list[Suggestion]:
        """Questions that the headings of its files would answer; nothing of them is kept."""
        known = await self._store.keys(Shelf([kb.name], ()))
        return suggestions(await self._store.headings(kb.id), known, number)

    def place(self, caller: Caller, kb_name: str | None) -> KnowledgeBase | None:
        """Where questions of the caller may be, None for free chat.

        Raises NoSuchKnowledgeBase or OutOfReach.
        """
        if kb_name is not None:
            return self._knowledge_bases.writable(kb_name, caller)
        if caller.confined_to is not None:
            raise OutOfReach
        return None

    async def _refuse_known(self, new: NewQuestion, owner: str) -> None:
        if question_key(new.query) in await self._store.keys(Shelf.only(new.kb_name, owner)):
            raise QuestionTaken

    def _offered(self, caller: Caller, kb_name: str | None) -> Shelf:
        of_free_chat = (caller.client_id, _OPERATORS)
        if kb_name is None:
            return Shelf(self._knowledge_bases.names(caller), of_free_chat)
        if not kb_name:
            return Shelf([], of_free_chat)
        kb = self._knowledge_bases.find(kb_name, caller)
        return Shelf([kb.name] if kb else [], ())

    def _changeable(self, caller: Caller) -> Shelf:
        names = [kb.name for kb in self._knowledge_bases.all_writable(caller)]
        if caller.confined_to is not None:
            return Shelf(names, ())
        return Shelf(names, None if caller.may("admin") else (caller.client_id,))


def _words(question: Question | NewQuestion) -> tuple[str | None, str | None]:
    """What makes it the same question: its words, and where it is asked."""
    return question_key(question.query), question.kb_name


def _owner(caller: Caller) -> str:
    return _OPERATORS if caller.may("admin") else caller.client_id
