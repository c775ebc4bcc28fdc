"""Rows of recommended questions."""

from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select

from kb_service.entities import Question
from kb_service.models import QuestionRow
from servicekit.database import Database


class QuestionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def pick(self, number: int, kb_name: str | None) -> list[Question]:
        """Enabled ones at random: of every kind (None), of free chat (empty) or of one name."""
        rows = select(QuestionRow).where(col(QuestionRow.enable))
        if kb_name == "":
            rows = rows.where(col(QuestionRow.kb_name).is_(None))
        elif kb_name is not None:
            rows = rows.where(col(QuestionRow.kb_name) == kb_name)
        async with self._database.reading() as session:
            picked = await session.exec(rows.order_by(func.random()).limit(number))
            return [_entity(row) for row in picked]

    async def add(self, query: str, kb_name: str | None, *, owner_client: str) -> None:
        async with self._database.transaction() as session:
            session.add(QuestionRow(query=query, kb_name=kb_name, owner_client=owner_client))

    async def change(
        self, question_id: int, query: str, kb_name: str | None, *, owner_client: str | None
    ) -> bool:
        """False when there is no such question, or none of that owner (None: of anybody)."""
        conditions: list[Any] = [col(QuestionRow.id) == question_id]
        if owner_client is not None:
            conditions.append(col(QuestionRow.owner_client) == owner_client)
        change = update(QuestionRow).where(*conditions).values(query=query, kb_name=kb_name)
        async with self._database.transaction() as session:
            return bool((await session.exec(change)).rowcount)


def _entity(row: QuestionRow) -> Question:
    assert row.id is not None
    return Question(**row.model_dump(exclude={"owner_client"}))
