"""Rows of recommended questions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, or_, update
from sqlmodel import col, select

from kb_service.entities import Question
from kb_service.models import QuestionRow
from servicekit.database import Database


class QuestionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def pick(
        self, number: int, names: Sequence[str], *, with_free_chat: bool
    ) -> list[Question]:
        """Enabled ones at random, of these knowledge bases and of none."""
        kinds = [col(QuestionRow.kb_name).in_(names)]
        if with_free_chat:
            kinds.append(col(QuestionRow.kb_name).is_(None))
        rows = select(QuestionRow).where(col(QuestionRow.enable), or_(*kinds))
        async with self._database.reading() as session:
            picked = await session.exec(rows.order_by(func.random()).limit(number))
            return [_entity(row) for row in picked]

    async def add(self, query: str, kb_name: str | None, *, owner_client: str) -> None:
        async with self._database.transaction() as session:
            session.add(QuestionRow(query=query, kb_name=kb_name, owner_client=owner_client))

    async def change(
        self,
        question_id: int,
        query: str,
        kb_name: str | None,
        *,
        owner_client: str | None,
        within: Sequence[str] | None,
    ) -> bool:
        """False when that owner (None: anybody) has no such question `within` these (None: all)."""
        conditions: list[Any] = [col(QuestionRow.id) == question_id]
        if owner_client is not None:
            conditions.append(col(QuestionRow.owner_client) == owner_client)
        if within is not None:
            conditions.append(col(QuestionRow.kb_name).in_(within))
        change = update(QuestionRow).where(*conditions).values(query=query, kb_name=kb_name)
        async with self._database.transaction() as session:
            return bool((await session.exec(change)).rowcount)


def _entity(row: QuestionRow) -> Question:
    assert row.id is not None
    return Question(**row.model_dump(exclude={"owner_client"}))
