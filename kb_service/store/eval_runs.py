"""Rows of evaluation runs: who is at which, how far, and what came out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ScalarSelect, func, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from kb_service.entities import SearchFilter
from kb_service.errors import EvalRefused, LeaseLost, NoSuchEvalSet
from kb_service.evaluation_entities import (
    OVER,
    Circumstances,
    EvalSet,
    Figures,
    Result,
    Run,
    RunOptions,
    RunState,
)
from kb_service.models import ChunkEditRow, EvalResultRow, EvalRunRow, FileRow, now
from kb_service.store.eval_results import result_row
from kb_service.store.eval_sets import drop_run
from kb_service.store.sizes import sizes
from servicekit.database import Database

LEASE_SECONDS = 60
_INTERRUPTED = "服务停止，运行中断，可重新运行。The service was stopped meanwhile; run it again."


@dataclass(frozen=True, slots=True)
class Content:
    """How much answers, how many files are cut how, and the versions of what answers."""

    files: int
    chunks: int
    chunkings: dict[str, int]
    versions: list[str]


class EvalRunStore:
    """A claim gives the right to a run; every write of it checks that it still has it."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def add(
        self, of: EvalSet, owner: str, label: str, options: RunOptions, *, waiting_max: int
    ) -> int:
        """Raises EvalRefused when too many wait, NoSuchEvalSet when that was removed meanwhile."""
        row = EvalRunRow(
            set_id=of.id, kb_id=of.kb_id, owner_client=owner, label=label, options=_stored(options)
        )
        waiting = select(func.count()).where(
            col(EvalRunRow.kb_id) == of.kb_id, col(EvalRunRow.state).in_(("queued", "running"))
        )
        try:
            async with self._database.transaction() as session:
                if (await session.exec(waiting)).one() >= waiting_max:
                    raise EvalRefused(
                        f"知识库已有 {waiting_max} 次评测在排队或运行，请稍后再试。"
                        f"{waiting_max} runs of this knowledge base wait already; try again later."
                    )
                session.add(row)
        except IntegrityError:
            raise NoSuchEvalSet from None
        assert row.id is not None
        return row.id

    async def page(self, set_id: int, *, start: int, limit: int) -> tuple[list[Run], int]:
        """The newest first, and how many there are in all."""
        mine = col(EvalRunRow.set_id) == set_id
        rows = select(EvalRunRow).where(mine).order_by(col(EvalRunRow.id).desc())
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(EvalRunRow).where(mine))
            found = await session.exec(rows.offset(start).limit(limit))
            return [_run(row) for row in found], total.one()

    async def find(self, set_id: int, run_id: int) -> Run | None:
        async with self._database.reading() as session:
            row = await session.get(EvalRunRow, run_id)
        return _run(row) if row and row.set_id == set_id else None

    async def cancel(self, run_id: int) -> bool:
        """False when it is over; whoever is at it loses the right to."""
        cancelled = update(EvalRunRow).where(
            col(EvalRunRow.id) == run_id, col(EvalRunRow.state).in_(("queued", "running"))
        )
        async with self._database.transaction() as session:
            done = await session.exec(cancelled.values(state="cancelled", end_time=now()))
            return bool(done.rowcount)

    async def remove(self, run_id: int) -> None:
        async with self._database.transaction() as session:
            await drop_run(session, run_id)

    async def keep_newest(self, set_id: int, number: int) -> None:
        """Removes older ones that are over."""
        rows = (
            select(col(EvalRunRow.id))
            .where(col(EvalRunRow.set_id) == set_id)
            .order_by(col(EvalRunRow.id).desc())
            .offset(number)
        )
        async with self._database.reading() as session:
            old: list[Any] = list(await session.exec(rows.where(col(EvalRunRow.state).in_(OVER))))
        for run_id in old:
            await self.remove(run_id)

    async def claim(self) -> Run | None:
        """One that waits, leased; None when there is none."""
        at = self._clock()
        claim = (
            update(EvalRunRow)
            .where(col(EvalRunRow.id) == _next(), col(EvalRunRow.state) == "queued")
            .values(
                state="running",
                start_time=now(),
                lease_token=col(EvalRunRow.lease_token) + 1,
                lease_until=at + LEASE_SECONDS,
            )
            .returning(EvalRunRow)
        )
        async with self._database.transaction() as session:
            row = (await session.exec(claim)).scalars().first()
            return None if row is None else _run(row)

    async def begin(self, run: Run, circumstances: Circumstances, total: int) -> None:
        """Raises LeaseLost."""
        await self._write(run, circumstances=asdict(circumstances), total=total)

    async def note(self, run: Run, results: Sequence[Result], *, done: int) -> None:
        """What came out since the last time. Raises LeaseLost."""
        await self._write(run, results, done=done)

    async def finish(self, run: Run, figures: Figures) -> None:
        """Raises LeaseLost."""
        await self._write(run, state="done", figures=asdict(figures), end_time=now())

    async def fail(self, run: Run, reason: str) -> None:
        """Raises LeaseLost."""
        await self._write(run, state="failed", reason=reason, end_time=now())

    async def interrupt(self, run: Run) -> None:
        """Raises LeaseLost."""
        await self.fail(run, _INTERRUPTED)

    async def recover(self, *, all_of_them: bool) -> None:
        """Runs that nobody is at any more have failed; at the start of the only process, all."""
        abandoned = update(EvalRunRow).where(col(EvalRunRow.state) == "running")
        if not all_of_them:
            abandoned = abandoned.where(col(EvalRunRow.lease_until) <= self._clock())
        failed = {"state": "failed", "reason": _INTERRUPTED, "end_time": now()}
        async with self._database.transaction() as session:
            await session.exec(abandoned.values(**failed))

    async def content(self, kb_id: int) -> Content:
        """What answers now."""
        rows = select(FileRow.live_version, FileRow.chunking).where(
            col(FileRow.kb_id) == kb_id, col(FileRow.live_version).is_not(None)
        )
        edits = select(col(ChunkEditRow.id), col(ChunkEditRow.number)).where(
            col(ChunkEditRow.kb_id) == kb_id
        )
        async with self._database.reading() as session:
            files = (await session.exec(rows)).all()
            edited = [f"{edit_id}-{number}" for edit_id, number in await session.exec(edits)]
            chunks = sum(size.chunks for size in (await sizes(session, kb_id)).values())
        versions = [version for version, _ in files if version]
        chunkings = Counter(_cut(chunking) for _, chunking in files)
        return Content(len(files), chunks, dict(chunkings), sorted((*versions, *edited)))

    async def _write(self, run: Run, results: Sequence[Result] = (), **columns: Any) -> None:
        held = update(EvalRunRow).where(
            col(EvalRunRow.id) == run.id,
            col(EvalRunRow.lease_token) == run.lease_token,
            col(EvalRunRow.state) == "running",
        )
        columns["lease_until"] = self._clock() + LEASE_SECONDS
        async with self._database.transaction() as session:
            if not (await session.exec(held.values(**columns))).rowcount:
                raise LeaseLost
            if results:  # in one statement: objects would keep searches waiting for longer
                await session.exec(
                    insert(EvalResultRow), params=[result_row(run, one) for one in results]
                )


_TIMES = ("uploaded_after", "uploaded_before")


def _next() -> ScalarSelect[int]:
    """The oldest that waits, of the client whose last turn was the longest ago."""
    waiting, earlier = aliased(EvalRunRow), aliased(EvalRunRow)
    last = (
        select(func.max(col(earlier.start_time)))
        .where(col(earlier.owner_client) == col(waiting.owner_client))
        .scalar_subquery()
    )
    return (
        select(col(waiting.id))
        .where(col(waiting.state) == "queued")
        .order_by(last.is_not(None), last, col(waiting.id))
        .limit(1)
        .scalar_subquery()
    )


def _run(row: EvalRunRow) -> Run:
    assert row.id is not None
    return Run(
        id=row.id,
        set_id=row.set_id,
        kb_id=row.kb_id,
        label=row.label,
        state=cast(RunState, row.state),
        reason=row.reason,
        options=_options(row.options),
        circumstances=Circumstances(**row.circumstances) if row.circumstances else None,
        figures=Figures(**row.figures) if row.figures else None,
        done=row.done,
        total=row.total,
        lease_token=row.lease_token,
        create_time=row.create_time,
        start_time=row.start_time,
        end_time=row.end_time,
    )


def _stored(options: RunOptions) -> dict[str, Any]:
    stored = asdict(options)
    if wanted := stored["wanted"]:
        for name in _TIMES:
            wanted[name] = wanted[name] and wanted[name].isoformat()
    return stored


def _options(stored: dict[str, Any]) -> RunOptions:
    wanted = stored["wanted"]
    if wanted:
        names = {name: tuple(wanted[name]) for name in ("files", "tags")}
        times = {name: wanted[name] and datetime.fromisoformat(wanted[name]) for name in _TIMES}
        wanted = SearchFilter(**(wanted | names | times))
    return RunOptions(**(stored | {"wanted": wanted}))


def _cut(chunking: Mapping[str, Any] | None) -> str:
    """How a file was cut, in a word or two; one that came cut says nothing."""
    if not chunking:
        return "as given"
    length = f"{chunking['size']}/{chunking['overlap']}"
    return f"{chunking.get('splitter', 'recursive')} {length}"
