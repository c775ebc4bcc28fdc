"""Rows of jobs: what is to be indexed, and what became of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from kb_service.entities import Job, JobState, Lease, NewJob
from kb_service.errors import LeaseLost, NotRetried, Superseded
from kb_service.models import FileRow, JobRow, KnowledgeBaseRow, now
from kb_service.store.job_rows import (
    ACTIVE,
    GIVEN_UP,
    IDLE,
    job_of,
    new_file,
    of_file,
    remove_placeholder,
    row_of,
)
from kb_service.store.labels import replace_tags
from kb_service.store.leases import hold
from servicekit.database import Database

_IDS_AT_ONCE = 500
_CANCELLED = "已取消。It was cancelled."
_DONE_KEPT, _IDLE_KEPT = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of many jobs."""

    jobs: list[Job]
    total: int


class JobStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, jobs: Sequence[NewJob]) -> list[int]:
        """Accept them, all or none, each with a row of its file. Raises Superseded."""
        rows = [row_of(job) for job in jobs]
        try:
            async with self._database.transaction() as session:
                for job in jobs:
                    if job.content:
                        await _ensure_file(session, job, retags=True)
                session.add_all(rows)
        except IntegrityError:  # the knowledge base is gone
            raise Superseded from None
        return [row.id for row in rows if row.id is not None]

    async def find(self, job_id: int) -> Job | None:
        return next(iter(await self.find_all([job_id])), None)

    async def find_all(self, job_ids: Collection[int]) -> list[Job]:
        ids, found = list(job_ids), list[Job]()
        async with self._database.reading() as session:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = col(JobRow.id).in_(ids[start : start + _IDS_AT_ONCE])
                found += [job_of(*row) for row in await session.exec(_with_names().where(some))]
        return found

    async def page(
        self, kb_ids: Sequence[int], state: JobState | None, *, start: int, limit: int
    ) -> Page:
        """The newest first."""
        chosen: list[ColumnElement[bool]] = [col(JobRow.kb_id).in_(kb_ids)]
        if state:
            chosen.append(col(JobRow.state) == state)
        rows = _with_names().where(*chosen).order_by(col(JobRow.id).desc())
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(JobRow).where(*chosen))
            found = await session.exec(rows.offset(start).limit(limit))
            return Page([job_of(*row) for row in found], total.one())

    async def size_on_its_way(self, kb_id: int, name: str) -> int | None:
        """Of the newest content that waits to be indexed as this file."""
        newest = (
            select(col(JobRow.content_size))
            .where(*of_file(kb_id, name, ACTIVE), col(JobRow.content_id).is_not(None))
            .order_by(col(JobRow.id).desc())
        )
        async with self._database.reading() as session:
            return (await session.exec(newest.limit(1))).first()

    async def content_on_its_way(self, kb_id: int, name: str) -> str | None:
        """The same, by its id."""
        newest = (
            select(col(JobRow.content_id))
            .where(*of_file(kb_id, name, ACTIVE), col(JobRow.content_id).is_not(None))
            .order_by(col(JobRow.id).desc())
        )
        async with self._database.reading() as session:
            return (await session.exec(newest.limit(1))).first()

    async def queued_of(self, client_id: str) -> int:
        waiting = [col(JobRow.state) == "queued", col(JobRow.owner_client) == client_id]
        async with self._database.reading() as session:
            return (await session.exec(select(func.count(col(JobRow.id))).where(*waiting))).one()

    async def finish(self, lease: Lease, chunks: int, notes: str) -> None:
        """Raises LeaseLost."""
        total = func.coalesce(col(JobRow.total), chunks)
        async with self._database.transaction() as session:
            await hold(session, lease, state="done", step="", done=total, total=total, reason=notes)

    async def fail(self, job: Job, reason: str) -> None:
        """Raises LeaseLost, also when its version answers already: it will be found and done."""
        is_live = select(JobRow.id).where(col(JobRow.id) == job.id, col(JobRow.step) == "removing")
        async with self._database.transaction() as session:
            if (await session.exec(is_live)).first():
                raise LeaseLost
            await hold(session, job.lease, state="failed", step="", reason=reason)
            await remove_placeholder(session, job.kb_id, job.file_name)

    async def cancel(self, job: Job) -> bool:
        """False when it is over, or so far that its version answers already."""
        change = update(JobRow).where(
            col(JobRow.id) == job.id, col(JobRow.state).in_(ACTIVE), col(JobRow.step) != "removing"
        )
        async with self._database.transaction() as session:
            cancelled = await session.exec(
                change.values(state="cancelled", step="", reason=_CANCELLED, update_time=now())
            )
            await remove_placeholder(session, job.kb_id, job.file_name)
            return bool(cancelled.rowcount)

    async def retry(self, job: Job) -> None:
        """Back into the queue, at its old place. Raises NotRetried."""
        async with self._database.transaction() as session:
            newer = of_file(job.kb_id, job.file_name, ACTIVE)
            newer += [col(JobRow.id) > job.id, col(JobRow.content_id).is_not(None)]
            if (await session.exec(select(col(JobRow.id)).where(*newer))).first():
                raise NotRetried
            retried = await session.exec(
                update(JobRow)
                .where(
                    col(JobRow.id) == job.id,
                    col(JobRow.state).in_(IDLE),
                    func.coalesce(col(JobRow.content_id), "-") != GIVEN_UP,
                    func.coalesce(col(JobRow.passages_id), "-") != GIVEN_UP,
                )
                .values(
                    state="queued", done=0, total=None, reason="", attempts=0, update_time=now()
                )
            )
            if not retried.rowcount:
                raise NotRetried
            if job.content:
                await _ensure_file(session, job, retags=False)

    async def purge(self, at: datetime) -> list[tuple[int, str]]:
        """Forget what was over long ago; gives contents (and their base) that nobody needs now."""
        contents = list[tuple[int, str]]()
        columns = select(JobRow.kb_id, JobRow.content_id, JobRow.passages_id)
        async with self._database.transaction() as session:
            for states, kept in ((("done",), _DONE_KEPT), (IDLE, _IDLE_KEPT)):
                old = [col(JobRow.state).in_(states), col(JobRow.update_time) < at - kept]
                if states == IDLE:
                    for kb_id, *ids in await session.exec(columns.where(*old)):
                        contents += [(kb_id, one) for one in ids if one]
                await session.exec(delete(JobRow).where(*old))
        return contents


def _with_names() -> Select[JobRow, str]:
    return select(JobRow, col(KnowledgeBaseRow.kb_name)).join(
        KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(JobRow.kb_id)
    )


async def _ensure_file(session: AsyncSession, job: NewJob, *, retags: bool) -> None:
    """A row for a file that is new: not listed, and without content until that is indexed.

    A file that is there gets the job's tags only when `retags`: it may have later ones by now.
    """
    same = select(col(FileRow.id)).where(
        col(FileRow.kb_id) == job.kb_id, col(FileRow.file_name) == job.file_name
    )
    is_new = (await session.exec(same)).first() is None
    if is_new:
        session.add(new_file(job.kb_id, job.file_name))
    if job.tags is not None and (is_new or retags):
        await replace_tags(session, job.kb_id, job.file_name, job.tags)
