"""Rows of evaluation sets and their items."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.errors import EvalItemThere, EvalNameTaken, NoSuchKnowledgeBase
from kb_service.evaluation_entities import EvalSet, Expectation, Item, NewItem
from kb_service.models import EvalItemRow, EvalResultRow, EvalRunRow, EvalSetRow, FileRow
from servicekit.database import Database

_AT_ONCE = 100


class EvalSetStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kb_id: int, name: str, note: str) -> int:
        """Raises EvalNameTaken, NoSuchKnowledgeBase when that was removed meanwhile."""
        row = EvalSetRow(kb_id=kb_id, name=name, note=note)
        try:
            async with self._database.transaction() as session:
                session.add(row)
        except IntegrityError:
            if await self.named(kb_id, name):
                raise EvalNameTaken from None
            raise NoSuchKnowledgeBase("") from None
        assert row.id is not None
        return row.id

    async def page(self, kb_id: int, *, start: int, limit: int) -> tuple[list[EvalSet], int]:
        """By name, and how many there are in all."""
        mine = col(EvalSetRow.kb_id) == kb_id
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(EvalSetRow).where(mine))
            rows = _sets().where(mine).order_by(col(EvalSetRow.name)).offset(start).limit(limit)
            return [_set(row) for row in await session.exec(rows)], total.one()

    async def find(self, kb_id: int, set_id: int) -> EvalSet | None:
        return await self._one(kb_id, col(EvalSetRow.id) == set_id)

    async def named(self, kb_id: int, name: str) -> EvalSet | None:
        return await self._one(kb_id, col(EvalSetRow.name) == name)

    async def change(self, set_id: int, **columns: str) -> None:
        """Raises EvalNameTaken."""
        change = update(EvalSetRow).where(col(EvalSetRow.id) == set_id)
        try:
            async with self._database.transaction() as session:
                await session.exec(change.values(**columns))
        except IntegrityError:
            raise EvalNameTaken from None

    async def remove(self, set_id: int) -> None:
        """With its items and runs; whoever is at one of them finds it gone."""
        await _remove_set(self._database, set_id)

    async def items(
        self, set_id: int, *, text: str = "", start: int, limit: int
    ) -> tuple[list[Item], int]:
        """In the order that they were added; those whose question has `text` in it."""
        chosen = [col(EvalItemRow.set_id) == set_id]
        if text:
            chosen.append(col(EvalItemRow.question).icontains(text, autoescape=True))
        rows = select(EvalItemRow).where(*chosen).order_by(col(EvalItemRow.id))
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(EvalItemRow).where(*chosen))
            found = await session.exec(rows.offset(start).limit(limit))
            return [_item(row) for row in found], total.one()

    async def items_after(self, set_id: int, item_id: int) -> list[Item]:
        """The next few of them."""
        rows = select(EvalItemRow).where(
            col(EvalItemRow.set_id) == set_id, col(EvalItemRow.id) > item_id
        )
        async with self._database.reading() as session:
            found = await session.exec(rows.order_by(col(EvalItemRow.id)).limit(_AT_ONCE))
            return [_item(row) for row in found]

    async def item(self, set_id: int, item_id: int) -> Item | None:
        async with self._database.reading() as session:
            row = await session.get(EvalItemRow, item_id)
        return _item(row) if row and row.set_id == set_id else None

    async def known(self, set_id: int, keys: Sequence[str]) -> dict[str, Item]:
        """Those of the set, by their keys."""
        mine = select(EvalItemRow).where(col(EvalItemRow.set_id) == set_id)
        found: dict[str, Item] = {}
        async with self._database.reading() as session:
            for start in range(0, len(keys), _AT_ONCE):
                some = mine.where(col(EvalItemRow.match_key).in_(keys[start : start + _AT_ONCE]))
                found |= {row.match_key: _item(row) for row in await session.exec(some)}
        return found

    async def put(
        self, set_id: int, added: Mapping[str, NewItem], changed: Mapping[int, NewItem]
    ) -> None:
        """Raises EvalItemThere when somebody else added one meanwhile."""
        rows = [
            EvalItemRow(set_id=set_id, match_key=key, **_columns(item))
            for key, item in added.items()
        ]
        try:
            async with self._database.transaction() as session:
                session.add_all(rows)
                for item_id, item in changed.items():
                    change = update(EvalItemRow).where(col(EvalItemRow.id) == item_id)
                    await session.exec(change.values(**_columns(item)))
        except IntegrityError:
            raise EvalItemThere from None

    async def change_item(self, item: Item, key: str, changed: NewItem) -> None:
        """Raises EvalItemThere when another one has that question."""
        change = update(EvalItemRow).where(col(EvalItemRow.id) == item.id)
        try:
            async with self._database.transaction() as session:
                await session.exec(change.values(match_key=key, **_columns(changed)))
        except IntegrityError:
            raise EvalItemThere from None

    async def remove_item(self, item_id: int) -> None:
        async with self._database.transaction() as session:
            await session.exec(delete(EvalItemRow).where(col(EvalItemRow.id) == item_id))

    async def file_names(self, kb_id: int) -> set[str]:
        names = select(col(FileRow.file_name)).where(col(FileRow.kb_id) == kb_id)
        async with self._database.reading() as session:
            return set(await session.exec(names))

    async def _one(self, kb_id: int, condition: Any) -> EvalSet | None:
        async with self._database.reading() as session:
            row = (
                await session.exec(_sets().where(col(EvalSetRow.kb_id) == kb_id, condition))
            ).first()
        return None if row is None else _set(row)


async def remove_sets(database: Database, kb_id: int) -> None:
    """In many transactions: one for all would keep others waiting for long."""
    async with database.reading() as session:
        set_ids = list(await session.exec(_set_ids(kb_id)))
    for set_id in set_ids:
        await _remove_set(database, set_id)


async def drop_sets(session: AsyncSession, kb_id: int) -> None:
    """What came while they were removed."""
    for set_id in list(await session.exec(_set_ids(kb_id))):
        await _drop_set(session, set_id)


async def drop_run(session: AsyncSession, run_id: int) -> None:
    """With what it found."""
    await session.exec(delete(EvalResultRow).where(col(EvalResultRow.run_id) == run_id))
    await session.exec(delete(EvalRunRow).where(col(EvalRunRow.id) == run_id))


async def _remove_set(database: Database, set_id: int) -> None:
    async with database.reading() as session:
        run_ids = list(await session.exec(_run_ids(set_id)))
    for run_id in run_ids:
        async with database.transaction() as session:
            await drop_run(session, run_id)
    async with database.transaction() as session:
        await _drop_set(session, set_id)


async def _drop_set(session: AsyncSession, set_id: int) -> None:
    for run_id in list(await session.exec(_run_ids(set_id))):
        await drop_run(session, run_id)
    await session.exec(delete(EvalItemRow).where(col(EvalItemRow.set_id) == set_id))
    await session.exec(delete(EvalSetRow).where(col(EvalSetRow.id) == set_id))


def _set_ids(kb_id: int) -> Any:
    return select(col(EvalSetRow.id)).where(col(EvalSetRow.kb_id) == kb_id)


def _run_ids(set_id: int) -> Any:
    return select(col(EvalRunRow.id)).where(col(EvalRunRow.set_id) == set_id)


def expectation_of(stored: Mapping[str, Any]) -> Expectation:
    return Expectation(
        files=tuple(stored["files"]),
        passages=tuple(stored["passages"]),
        answer=stored["answer"],
        refuses=stored["refuses"],
    )


def _sets() -> Any:
    mine = col(EvalItemRow.set_id) == col(EvalSetRow.id)
    items = select(func.count()).select_from(EvalItemRow).where(mine)
    runs = select(func.count()).select_from(EvalRunRow)
    return select(
        EvalSetRow,
        items.scalar_subquery(),
        items.where(col(EvalItemRow.judged)).scalar_subquery(),
        runs.where(col(EvalRunRow.set_id) == col(EvalSetRow.id)).scalar_subquery(),
    )


def _set(row: tuple[EvalSetRow, int, int, int]) -> EvalSet:
    found, items, judged, runs = row
    assert found.id is not None
    columns = found.model_dump()
    return EvalSet(**columns, items=items, judged=judged, runs=runs)


def _columns(item: NewItem) -> dict[str, Any]:
    expected = item.expected
    return {
        "question": item.question,
        "files": list(expected.files),
        "passages": list(expected.passages),
        "answer": expected.answer,
        "refuses": expected.refuses,
        "judged": expected.is_judged,
        "note": item.note,
    }


def _item(row: EvalItemRow) -> Item:
    assert row.id is not None
    return Item(row.id, row.match_key, row.question, expectation_of(row.model_dump()), row.note)
