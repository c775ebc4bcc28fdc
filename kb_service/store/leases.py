"""Who works on which job: claims in turn, leases that run out, and the fence before each write."""

import time
from collections.abc import Callable
from functools import cache

from sqlalchemy import ScalarSelect, and_, exists, func, or_, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import Job, JobStep, Lease
from kb_service.errors import LeaseLost
from kb_service.models import JobRow, KnowledgeBaseRow, now
from kb_service.store.job_rows import job_of, remove_placeholder
from servicekit.database import Database

LEASE_SECONDS = 60
ATTEMPTS_MAX = 5
_GAVE_UP = (
    "处理时服务多次意外中断，已放弃，可重试。"
    "The service was interrupted each time it worked on this file; it can be tried again."
)


class LeaseStore:
    """The queue: at most one holder a job, and clients take turns however many files they have."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def claim(self) -> Job | None:
        """The next job, leased; None when there is nothing to do."""
        while True:
            async with self._database.transaction() as session:
                row = await self._claim(session)
                if row:
                    kb = await session.get_one(KnowledgeBaseRow, row.kb_id)
                    return job_of(row, kb.kb_name)
                if not (await session.exec(select(_next_job()))).first():
                    return None
            # On PostgreSQL another worker was faster with the same row: there is one more.

    async def renew(self, lease: Lease, *, step: JobStep, done: int, total: int | None) -> bool:
        """False when it is no longer held: the holder must stop."""
        until = self._clock() + LEASE_SECONDS
        async with self._database.transaction() as session:
            return await _change(
                session, lease, step=step, done=done, total=total, lease_until=until
            )

    async def give_back(self, lease: Lease) -> None:
        """To the queue, when the worker is told to stop: that was no attempt."""
        async with self._database.transaction() as session:
            attempts = col(JobRow.attempts) - 1
            await _change(session, lease, state="queued", step="", attempts=attempts)

    async def recover(self, *, all_of_them: bool = False) -> int:
        """Put jobs back whose worker died, or (when there can be no other) all that run."""
        dead = [col(JobRow.state) == "running"]
        if not all_of_them:
            dead.append(col(JobRow.lease_until) < self._clock())
        outcomes = (
            (col(JobRow.step) == "removing", {"state": "done"}),
            (col(JobRow.attempts) >= ATTEMPTS_MAX, {"state": "failed", "reason": _GAVE_UP}),
            (true(), {"state": "queued", "done": 0}),
        )
        found = 0
        async with self._database.transaction() as session:
            for condition, values in outcomes:
                change = update(JobRow).where(*dead, condition).returning(JobRow)
                changed = await session.exec(change.values(step="", update_time=now(), **values))
                for job in changed.scalars().all():
                    found += 1
                    if job.state == "failed":
                        await remove_placeholder(session, job.kb_id, job.file_name)
        return found

    async def has_queued(self) -> bool:
        async with self._database.reading() as session:
            waiting = select(col(JobRow.id)).where(col(JobRow.state) == "queued").limit(1)
            return (await session.exec(waiting)).first() is not None

    async def _claim(self, session: AsyncSession) -> JobRow | None:
        token = aliased(JobRow)
        claim = (
            update(JobRow)
            .where(col(JobRow.id) == _next_job(), col(JobRow.state) == "queued")
            .values(
                state="running",
                step="parsing",
                done=0,
                total=None,
                reason="",
                attempts=col(JobRow.attempts) + 1,
                lease_token=select(
                    func.coalesce(func.max(col(token.lease_token)), 0) + 1
                ).scalar_subquery(),
                lease_until=self._clock() + LEASE_SECONDS,
                update_time=now(),
            )
            .returning(JobRow)
            .execution_options(synchronize_session=False)
        )
        return (await session.exec(claim)).scalars().first()


async def hold(session: AsyncSession, lease: Lease, **values: object) -> None:
    """The fence: in the transaction of a write, so that only the holder of a job writes.

    Raises LeaseLost.
    """
    if not await _change(session, lease, **values):
        raise LeaseLost


async def _change(session: AsyncSession, lease: Lease, **values: object) -> bool:
    held = and_(
        col(JobRow.id) == lease.job_id,
        col(JobRow.lease_token) == lease.token,
        col(JobRow.state) == "running",
    )
    change = update(JobRow).where(held).values(update_time=now(), **values)
    # The session is new: nothing in it could be out of date.
    changed = await session.exec(change.execution_options(synchronize_session=False))
    return bool(changed.rowcount)


@cache  # building it takes as long as running it
def _next_job() -> ScalarSelect[int]:
    """The oldest of the client that was served longest ago, one at a time of a file."""
    waiting, other, served = aliased(JobRow), aliased(JobRow), aliased(JobRow)
    clients = select(col(JobRow.owner_client)).where(col(JobRow.state) == "queued")
    client = clients.distinct().subquery()
    is_in_use = exists().where(
        col(other.kb_id) == col(waiting.kb_id),
        col(other.file_name) == col(waiting.file_name),
        or_(
            col(other.state) == "running",
            and_(col(other.state) == "queued", col(other.id) < col(waiting.id)),
        ),
    )
    oldest = (
        select(col(waiting.id))
        .where(
            col(waiting.state) == "queued",
            col(waiting.owner_client) == client.c.owner_client,
            ~is_in_use,
        )
        .order_by(col(waiting.id))
        .limit(1)
        .scalar_subquery()
    )
    last_turn = (
        select(func.max(col(served.lease_token)))
        .where(col(served.owner_client) == client.c.owner_client)
        .scalar_subquery()
    )
    candidates = select(oldest.label("id"), last_turn.label("turn")).select_from(client).subquery()
    return (
        select(candidates.c.id)
        .where(candidates.c.id.is_not(None))
        .order_by(candidates.c.turn, candidates.c.id)
        .limit(1)
        .scalar_subquery()
    )
