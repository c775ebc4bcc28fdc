"""Recommended questions: what the page offers to ask."""

from kb_service.entities import Question
from kb_service.store import QuestionStore
from servicekit.identity import Caller

_AT_ONCE_MAX = 100


class Questions:
    def __init__(self, store: QuestionStore) -> None:
        self._store = store

    async def pick(self, number: int, kb_name: str | None) -> list[Question]:
        return await self._store.pick(max(0, min(number, _AT_ONCE_MAX)), kb_name)

    async def save(
        self, caller: Caller, question_id: int | None, query: str, kb_name: str | None
    ) -> bool:
        """Insert, or change the one with the id; False when the caller has no such question."""
        kb_name = kb_name or None
        if question_id is None:
            await self._store.add(query, kb_name, owner_client=caller.client_id)
            return True
        owner = None if caller.may("admin") else caller.client_id
        return await self._store.change(question_id, query, kb_name, owner_client=owner)
