"""Rows of recommended questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import ColumnElement, and_, delete, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import Candidate, Heading, KnowledgeBase, NewQuestion, Question
from kb_service.errors import NoSuchKnowledgeBase
from kb_service.models import ChunkRow, FileRow, KnowledgeBaseRow, QuestionRow
from kb_service.names import shown
from kb_service.question_keys import question_key
from servicekit.database import Database

_HEADINGS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Shelf:
    """Which questions are meant: those of these knowledge bases, and of free chat those of these
    owners (None: of all of them).
    """

    names: Sequence[str]
    owners: Sequence[str] | None

    @classmethod
    def only(cls, kb_name: str | None, owner: str) -> Self:
        """Where a question of this name is put."""
        return cls([kb_name], ()) if kb_name else cls([], (owner,))

    @property
    def condition(self) -> ColumnElement[bool]:
        kinds: list[Any] = [col(QuestionRow.kb_name).in_(self.names)]
        is_free_chat = col(QuestionRow.kb_name).is_(None)
        if self.owners is None:
            kinds.append(is_free_chat)
        elif self.owners:
            kinds.append(and_(is_free_chat, col(QuestionRow.owner_client).in_(self.owners)))
        return or_(*kinds)


class QuestionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def candidates(self, shelf: Shelf) -> list[Candidate]:
        """The enabled ones."""
        columns = select(QuestionRow.id, QuestionRow.tap_count, QuestionRow.create_time)
        async with self._database.reading() as session:
            rows = await session.exec(columns.where(col(QuestionRow.enable), shelf.condition))
            return [Candidate(number or 0, taps, made) for number, taps, made in rows]

    async def find(self, question_id: int, shelf: Shelf) -> Question | None:
        row = select(QuestionRow).where(col(QuestionRow.id) == question_id, shelf.condition)
        async with self._database.reading() as session:
            found = (await session.exec(row)).first()
        return None if found is None else _entity(found)

    async def find_all(self, ids: Sequence[int]) -> list[Question]:
        """In this order."""
        wanted = select(QuestionRow).where(col(QuestionRow.id).in_(ids))
        async with self._database.reading() as session:
            found = {row.id: _entity(row) for row in await session.exec(wanted)}
        return [found[one] for one in ids if one in found]

    async def page(
        self, shelf: Shelf, *, enabled: bool | None, text: str, start: int, limit: int
    ) -> tuple[list[Question], int]:
        """The newest first, and how many there are in all."""
        chosen: list[Any] = [shelf.condition]
        if enabled is not None:
            chosen.append(col(QuestionRow.enable).is_(enabled))
        if text:
            chosen.append(col(QuestionRow.query).icontains(text, autoescape=True))
        rows = select(QuestionRow).where(*chosen).order_by(col(QuestionRow.id).desc())
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(QuestionRow).where(*chosen))
            found = await session.exec(rows.offset(start).limit(limit))
            return [_entity(row) for row in found], total.one()

    async def keys(self, shelf: Shelf) -> list[str]:
        """What its questions are recognised by, enabled or not."""
        async with self._database.reading() as session:
            keys = select(col(QuestionRow.match_key)).where(shelf.condition)
            return list(await session.exec(keys))

    async def add_all(
        self, new: Sequence[NewQuestion], place: KnowledgeBase | None, *, owner_client: str
    ) -> list[Question]:
        """Raises NoSuchKnowledgeBase when it was deleted meanwhile."""
        rows = [_row(one, owner_client) for one in new]
        async with self._database.transaction() as session:
            await _hold(session, place)
            session.add_all(rows)
        return [_entity(row) for row in rows]

    async def change(
        self, question_id: int, changed: NewQuestion, place: KnowledgeBase | None, shelf: Shelf
    ) -> bool:
        """False when there is no such question on the shelf.

        Raises NoSuchKnowledgeBase when its new place was deleted meanwhile.
        """
        change = update(QuestionRow).where(col(QuestionRow.id) == question_id, shelf.condition)
        async with self._database.transaction() as session:
            await _hold(session, place)
            done = await session.exec(change.values(**_columns(changed)))
            return bool(done.rowcount)

    async def remove(self, question_id: int, shelf: Shelf) -> bool:
        gone = delete(QuestionRow).where(col(QuestionRow.id) == question_id, shelf.condition)
        async with self._database.transaction() as session:
            return bool((await session.exec(gone)).rowcount)

    async def tap(self, question_id: int, shelf: Shelf) -> bool:
        """Counts one; False when no such question is offered from the shelf."""
        tapped = update(QuestionRow).where(
            col(QuestionRow.id) == question_id, col(QuestionRow.enable), shelf.condition
        )
        async with self._database.transaction() as session:
            more = tapped.values(tap_count=col(QuestionRow.tap_count) + 1)
            return bool((await session.exec(more)).rowcount)

    async def headings(self, kb_id: int) -> list[Heading]:
        """Of what answers now, each once, in the order of files and of their text."""
        titles = (
            select(
                col(FileRow.id).label("file_id"),
                col(FileRow.file_name).label("file_name"),
                ChunkRow.meta_data["title"].as_string().label("title"),
                col(ChunkRow.position).label("position"),
            )
            .join(ChunkRow, col(ChunkRow.version) == col(FileRow.live_version))
            .where(col(FileRow.kb_id) == kb_id)
            .subquery()
        )
        rows = (
            select(titles.c.file_name, titles.c.title)
            .where(titles.c.title.is_not(None))
            .group_by(titles.c.file_id, titles.c.file_name, titles.c.title)
            .order_by(titles.c.file_id, func.min(titles.c.position))
            .limit(_HEADINGS_MAX)
        )
        async with self._database.reading() as session:
            return [Heading(name, path) for name, path in await session.exec(rows)]


async def _hold(session: AsyncSession, place: KnowledgeBase | None) -> None:
    """Nobody deletes it before this transaction is over; one of its name is another one."""
    if place:
        row = select(KnowledgeBaseRow.id).where(col(KnowledgeBaseRow.id) == place.id)
        if (await session.exec(row.with_for_update())).first() is None:
            raise NoSuchKnowledgeBase(shown(place.name))


def _row(new: NewQuestion, owner_client: str) -> QuestionRow:
    return QuestionRow(owner_client=owner_client, **_columns(new))


def _columns(new: NewQuestion) -> dict[str, Any]:
    return {
        "query": new.query,
        "kb_name": new.kb_name,
        "answer": new.answer,
        "enable": new.enable,
        "match_key": question_key(new.query) or "",
    }


def _entity(row: QuestionRow) -> Question:
    assert row.id is not None
    return Question(**row.model_dump(exclude={"match_key"}))
