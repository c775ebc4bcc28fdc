"""What a knowledge base holds, and what was searched for in it."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import Missed, SearchCounts, Statistics
from kb_service.models import (
    FileRow,
    KnowledgeBaseRow,
    MissedQueryRow,
    QuestionRow,
    SearchCountRow,
)
from kb_service.store.sizes import sizes
from servicekit.database import Database

MISSED_KEPT = 100
_KEYS_AT_ONCE = 500
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class StatisticsStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, counts: Mapping[int, SearchCounts]) -> None:
        """On top of what was counted before; of knowledge bases that are gone nothing is kept."""
        wanted = select(KnowledgeBaseRow.id, KnowledgeBaseRow.kb_name).where(
            col(KnowledgeBaseRow.id).in_(counts)
        )
        async with self._database.transaction() as session:
            for kb_id, name in await session.exec(wanted):
                assert kb_id is not None
                await _count(session, kb_id, counts[kb_id])
                await _note_missed(session, kb_id, counts[kb_id].missed)
                await _tap(session, name, counts[kb_id].asked)

    async def of(self, kb_id: int) -> Statistics:
        files = select(func.count()).where(col(FileRow.kb_id) == kb_id, col(FileRow.listed))
        missed = (
            select(MissedQueryRow)
            .where(col(MissedQueryRow.kb_id) == kb_id)
            .order_by(col(MissedQueryRow.last_time).desc())
            .limit(MISSED_KEPT)
        )
        async with self._database.reading() as session:
            answering = (await sizes(session, kb_id)).values()
            counted = await session.get(SearchCountRow, kb_id)
            return Statistics(
                files=(await session.exec(files)).one(),
                chunks=sum(size.chunks for size in answering),
                characters=sum(size.characters for size in answering),
                searches=counted.searches if counted else 0,
                misses=counted.misses if counted else 0,
                last_search=counted.last_search if counted else None,
                missed=[
                    Missed(row.query, row.count, row.last_time)
                    for row in await session.exec(missed)
                ],
            )


async def _count(session: AsyncSession, kb_id: int, counts: SearchCounts) -> None:
    if not counts.searches:
        return
    table: Any = SearchCountRow
    added = _insert(session, table).values(
        kb_id=kb_id,
        searches=counts.searches,
        misses=counts.misses,
        last_search=counts.last_search,
    )
    await session.exec(
        added.on_conflict_do_update(
            index_elements=["kb_id"],
            set_={
                "searches": table.searches + added.excluded.searches,
                "misses": table.misses + added.excluded.misses,
                "last_search": added.excluded.last_search,
            },
        )
    )


async def _note_missed(session: AsyncSession, kb_id: int, missed: Mapping[str, Missed]) -> None:
    if not missed:
        return
    table: Any = MissedQueryRow
    for key, one in missed.items():
        added = _insert(session, table).values(
            kb_id=kb_id, match_key=key, query=one.query, count=one.count, last_time=one.last_time
        )
        await session.exec(
            added.on_conflict_do_update(
                index_elements=["kb_id", "match_key"],
                set_={
                    "count": table.count + added.excluded.count,
                    "last_time": added.excluded.last_time,
                },
            )
        )
    newest = select(col(MissedQueryRow.match_key)).where(col(MissedQueryRow.kb_id) == kb_id)
    newest = newest.order_by(col(MissedQueryRow.last_time).desc()).limit(MISSED_KEPT)
    await session.exec(
        delete(MissedQueryRow).where(
            col(MissedQueryRow.kb_id) == kb_id, col(MissedQueryRow.match_key).not_in(newest)
        )
    )


async def _tap(session: AsyncSession, kb_name: str, asked: Mapping[str, int]) -> None:
    """Questions that were asked word for word; of most that is asked there is none."""
    for keys in _some_at_once(asked):
        known = select(QuestionRow.id, QuestionRow.match_key).where(
            col(QuestionRow.kb_name) == kb_name,
            col(QuestionRow.enable),
            col(QuestionRow.match_key).in_(keys),
        )
        for number, key in (await session.exec(known)).all():
            more = update(QuestionRow).where(col(QuestionRow.id) == number)
            taps = col(QuestionRow.tap_count) + asked[key]
            await session.exec(more.values(tap_count=taps))


def _some_at_once(keys: Iterable[str]) -> list[list[str]]:
    every = list(keys)
    return [every[start : start + _KEYS_AT_ONCE] for start in range(0, len(every), _KEYS_AT_ONCE)]


def _insert(session: AsyncSession, table: Any) -> Any:
    return _INSERTS[session.get_bind().dialect.name](table)
