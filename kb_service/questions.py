"""Recommended questions: what the page offers to ask."""

from typing import Protocol

from kb_service.entities import KnowledgeBase, Question
from kb_service.errors import OutOfReach
from kb_service.store import QuestionStore
from servicekit.identity import Caller

_AT_ONCE_MAX = 100


class KnowledgeBases(Protocol):
    """What a caller may see and write."""

    def names(self, caller: Caller) -> list[str]: ...
    def find(self, name: str, caller: Caller) -> KnowledgeBase | None: ...
    def writable(self, name: str, caller: Caller) -> KnowledgeBase: ...


class Questions:
    def __init__(self, store: QuestionStore, knowledge_bases: KnowledgeBases) -> None:
        self._store, self._knowledge_bases = store, knowledge_bases

    async def pick(self, caller: Caller, number: int, kb_name: str | None) -> list[Question]:
        """At random: of everything that the caller sees (None), of free chat (empty) or of one."""
        number = max(0, min(number, _AT_ONCE_MAX))
        if kb_name is None:
            names = self._knowledge_bases.names(caller)
            return await self._store.pick(number, names, with_free_chat=True)
        if not kb_name:
            return await self._store.pick(number, [], with_free_chat=True)
        kb = self._knowledge_bases.find(kb_name, caller)
        return await self._store.pick(number, [kb.name] if kb else [], with_free_chat=False)

    async def save(
        self, caller: Caller, question_id: int | None, query: str, kb_name: str | None
    ) -> bool:
        """Insert, or change the one with the id; False when the caller has no such question.

        Raises NoSuchKnowledgeBase for a knowledge base that is not the caller's to write, and
        OutOfReach for free chat when the caller is confined to knowledge bases.
        """
        kb_name = kb_name or None
        if kb_name is not None:
            self._knowledge_bases.writable(kb_name, caller)
        elif caller.confined_to is not None:
            raise OutOfReach
        if question_id is None:
            await self._store.add(query, kb_name, owner_client=caller.client_id)
            return True
        owner = None if caller.may("admin") else caller.client_id
        return await self._store.change(
            question_id, query, kb_name, owner_client=owner, within=caller.confined_to
        )
