"""Word lists and what they found: statements on chat.db."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chat_service.models import WORD_HIT, WORD_LIST, WORD_LIST_REVISION
from chat_service.word_entities import Hit, WordList
from servicekit.database import Database


class WordStore:
    """Each change of a list counts up the revision, which other processes watch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        async with self._database.reading() as session:
            connection = await session.connection()
            return int((await connection.execute(select(WORD_LIST_REVISION.c.number))).scalar_one())

    async def load(self) -> list[WordList]:
        """By name."""
        async with self._database.reading() as session:
            connection = await session.connection()
            rows = await connection.execute(select(WORD_LIST).order_by(WORD_LIST.c.name))
            return [_list(row) for row in rows.mappings()]

    async def add(self, new: WordList) -> int | None:
        """Its id; None when the name is taken."""
        try:
            async with self._database.transaction() as session:
                connection = await session.connection()
                statement = insert(WORD_LIST).values(**_values(new))
                added = await connection.execute(statement.returning(WORD_LIST.c.id))
                list_id = int(added.scalar_one())
                await _count_up(connection)
                return list_id
        except IntegrityError:
            return None

    async def change(self, list_id: int, edit: Callable[[WordList], WordList]) -> bool:
        """While nobody else changes it. False when the name is taken."""
        of_it = WORD_LIST.c.id == list_id
        try:
            async with self._database.transaction() as session:
                connection = await session.connection()
                found = await connection.execute(select(WORD_LIST).where(of_it).with_for_update())
                if row := found.mappings().one_or_none():
                    values = _values(edit(_list(row)))
                    await connection.execute(update(WORD_LIST).where(of_it).values(**values))
                    await _count_up(connection)
        except IntegrityError:
            return False
        return True

    async def remove(self, list_id: int) -> None:
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(delete(WORD_LIST).where(WORD_LIST.c.id == list_id))
            await _count_up(connection)

    async def note(self, hits: Sequence[Hit]) -> None:
        async with self._database.transaction() as session:
            rows = [asdict(hit) for hit in hits]
            await (await session.connection()).execute(insert(WORD_HIT), rows)

    async def hits(self, *, start: int, limit: int) -> tuple[list[Hit], int]:
        """Some of them, the newest first, and how many there are."""
        page = select(WORD_HIT).order_by(WORD_HIT.c.id.desc()).offset(start).limit(limit)
        async with self._database.reading() as session:
            connection = await session.connection()
            rows = (await connection.execute(page)).mappings().all()
            total = await connection.execute(select(func.count()).select_from(WORD_HIT))
            return [_hit(row) for row in rows], int(total.scalar_one())

    async def forget(self, *, before: datetime) -> None:
        async with self._database.transaction() as session:
            statement = delete(WORD_HIT).where(WORD_HIT.c.create_time < before)
            await (await session.connection()).execute(statement)


async def _count_up(connection: AsyncConnection) -> None:
    number = WORD_LIST_REVISION.c.number + 1
    await connection.execute(update(WORD_LIST_REVISION).values(number=number))


def _values(one: WordList) -> dict[str, Any]:
    values = asdict(one) | {"words": list(one.words)}
    del values["id"]
    return values


def _list(row: RowMapping) -> WordList:
    return WordList(**{**row, "words": tuple(row["words"])})


def _hit(row: RowMapping) -> Hit:
    made = row["create_time"]
    values = {name: value for name, value in row.items() if name != "id"}
    return Hit(**values | {"create_time": made if made.tzinfo else made.replace(tzinfo=UTC)})
