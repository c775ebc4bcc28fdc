"""Rows of web sources: what to fetch, when the next time, and who is at it."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import ColumnElement, ScalarSelect, delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import Owner
from kb_service.errors import LeaseLost, NoSuchKnowledgeBase, SourceThere
from kb_service.models import PageRow, SourceRow, now
from kb_service.source_entities import (
    NewSource,
    Reason,
    RunResult,
    Source,
    SourceKind,
    SourceOptions,
    SourceState,
)
from servicekit.database import Database

LEASE_SECONDS = 60
_AT_ONCE = 2  # of one client


class SourceStore:
    """A claim gives the right to a run; every write of a run checks that it still has it."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def add(self, new: NewSource) -> Source:
        """Due at once. Raises SourceThere, NoSuchKnowledgeBase when that was removed meanwhile."""
        row = SourceRow(
            kb_id=new.kb_id,
            kind=new.kind,
            url=new.url,
            **asdict(new.options),
            owner_client=new.owner.client_id,
            owner_user=new.owner.user_id,
            next_run=self._clock(),
        )
        try:
            async with self._database.transaction() as session:
                session.add(row)
        except IntegrityError:
            if any(source.url == new.url for source in await self.listed(new.kb_id)):
                raise SourceThere from None
            raise NoSuchKnowledgeBase("") from None
        return self._entity(row)

    async def listed(self, kb_id: int) -> list[Source]:
        rows = select(SourceRow).where(col(SourceRow.kb_id) == kb_id).order_by(col(SourceRow.id))
        async with self._database.reading() as session:
            return [self._entity(row) for row in await session.exec(rows)]

    async def find(self, kb_id: int, source_id: int) -> Source | None:
        wanted = select(SourceRow).where(
            col(SourceRow.id) == source_id, col(SourceRow.kb_id) == kb_id
        )
        async with self._database.reading() as session:
            row = (await session.exec(wanted)).first()
            return None if row is None else self._entity(row)

    async def change(self, source_id: int, options: SourceOptions, *, reschedule: bool) -> None:
        """A run that is going on ends as it began, and looks then when the next one is."""
        change = update(SourceRow).where(col(SourceRow.id) == source_id)
        hours = options.interval_hours
        next_run = None if hours is None else self._clock() + hours * 3_600
        async with self._database.transaction() as session:
            await session.exec(change.values(**asdict(options)))
            if reschedule:
                await session.exec(change.where(*self._waiting()).values(next_run=next_run))

    async def call(self, source_id: int) -> None:
        """Due now, unless it runs already."""
        call = update(SourceRow).where(col(SourceRow.id) == source_id, *self._waiting())
        async with self._database.transaction() as session:
            await session.exec(call.values(next_run=self._clock()))

    async def remove(self, source_id: int) -> None:
        """Whoever runs it loses the right to; its files stay, and where they are from."""
        mine = col(PageRow.source_id) == source_id
        async with self._database.transaction() as session:
            await session.exec(delete(PageRow).where(mine, col(PageRow.file_name).is_(None)))
            await session.exec(update(PageRow).where(mine).values(source_id=None))
            await session.exec(delete(SourceRow).where(col(SourceRow.id) == source_id))

    async def start_removing(self, source_id: int) -> None:
        """With its files, which takes time: from now on a run of it does that."""
        change = update(SourceRow).where(col(SourceRow.id) == source_id)
        removed = {"is_removed": True, "next_run": self._clock(), "lease_until": 0}
        async with self._database.transaction() as session:
            token = col(SourceRow.lease_token) + 1
            await session.exec(change.values(lease_token=token, **removed))

    async def claim(self) -> Source | None:
        """One that is due, leased; None when there is none."""
        at = self._clock()
        claim = (
            update(SourceRow)
            .where(col(SourceRow.id) == _next_due(at), col(SourceRow.lease_until) <= at)
            .values(lease_token=col(SourceRow.lease_token) + 1, lease_until=at + LEASE_SECONDS)
            .returning(SourceRow)
        )
        async with self._database.transaction() as session:
            row = (await session.exec(claim)).scalars().first()
            return None if row is None else self._entity(row)

    async def renew(self, source: Source, result: RunResult) -> bool:
        """False when the right is lost: the run must stop."""
        values = {"lease_until": self._clock() + LEASE_SECONDS, "last_result": asdict(result)}
        async with self._database.transaction() as session:
            return await _change(session, source, values)

    async def finish(self, source: Source, result: RunResult, *, jitter: float) -> None:
        """Until the interval is over, by so much of it more or less. Raises LeaseLost."""
        values = {"lease_until": 0, "last_result": asdict(result), "last_run": now()}
        hours = col(SourceRow.interval_hours)  # as it is by now
        async with self._database.transaction() as session:
            values["next_run"] = self._clock() + hours * 3_600 * jitter
            if not await _change(session, source, values):
                raise LeaseLost

    async def give_back(self, source: Source) -> None:
        """To be run again at once, by another process or after the next start."""
        async with self._database.transaction() as session:
            await _change(session, source, {"lease_until": 0})

    async def recover(self) -> None:
        """At the start of the only process that there is: nobody else can be at work."""
        async with self._database.transaction() as session:
            await session.exec(update(SourceRow).values(lease_until=0))

    def _waiting(self) -> tuple[ColumnElement[bool], ...]:
        return col(SourceRow.lease_until) <= self._clock(), col(SourceRow.is_removed).is_(False)

    def _entity(self, row: SourceRow) -> Source:
        assert row.id is not None
        state: SourceState = "running" if row.lease_until > self._clock() else "idle"
        return Source(
            id=row.id,
            kb_id=row.kb_id,
            kind=cast(SourceKind, row.kind),
            url=row.url,
            options=SourceOptions(row.interval_hours, row.pages_max, row.remove_after),
            owner=Owner(row.owner_client, row.owner_user),
            state="removing" if row.is_removed else state,
            next_run=row.next_run,
            lease_token=row.lease_token,
            last_run=row.last_run,
            last_result=_result(row.last_result),
            create_time=row.create_time,
        )


async def hold(session: AsyncSession, source: Source) -> None:
    """The fence: in the transaction of a write of a run. Raises LeaseLost."""
    if not await _change(session, source, {"lease_token": source.lease_token}):
        raise LeaseLost


async def _change(session: AsyncSession, source: Source, values: dict[str, Any]) -> bool:
    held = update(SourceRow).where(
        col(SourceRow.id) == source.id, col(SourceRow.lease_token) == source.lease_token
    )
    return bool((await session.exec(held.values(**values))).rowcount)


def _next_due(at: float) -> ScalarSelect[int]:
    """Of the client with the fewest runs at a time, the one that has waited longest."""
    due, running = aliased(SourceRow), aliased(SourceRow)
    at_work = (
        select(func.count())
        .select_from(running)
        .where(col(running.owner_client) == col(due.owner_client), col(running.lease_until) > at)
        .scalar_subquery()
    )
    return (
        select(col(due.id))
        .where(col(due.next_run) <= at, col(due.lease_until) <= at, at_work < _AT_ONCE)
        .order_by(at_work, col(due.next_run), col(due.id))
        .limit(1)
        .scalar_subquery()
    )


def _result(stored: dict[str, Any] | None) -> RunResult | None:
    if stored is None:
        return None
    reasons = [Reason(**reason) for reason in stored["reasons"]]
    return RunResult(**(stored | {"reasons": reasons}))
