"""Who waits for what becomes of a job: bells within the process, and a look at the row anyway."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio

from kb_service.entities import Job
from kb_service.store import JobStore

_LOOK_AFTER = 1.0  # other processes ring no bells here


@dataclass(eq=False, slots=True)
class _Listener:
    bell: asyncio.Event
    rung: set[int] = field(default_factory=set)


class Board:
    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._listeners: dict[int, list[_Listener]] = {}

    def ring(self, job_ids: Iterable[int]) -> None:
        """These have changed: whoever listens looks at their rows."""
        for job_id in job_ids:
            for listener in self._listeners.get(job_id, ()):
                listener.rung.add(job_id)
                listener.bell.set()

    @contextmanager
    def bell(self, job_id: int) -> Iterator[asyncio.Event]:
        with self._listening([job_id]) as listener:
            yield listener.bell

    async def ended(self, job_ids: Collection[int], seconds: float) -> list[Job]:
        """The jobs when all are over or removed, or when the time is."""
        until, open_ids = time.monotonic() + seconds, set(job_ids)
        with self._listening(job_ids) as listener:
            look_at = open_ids
            while True:
                found = await self._look(look_at)
                open_ids -= {one for one in look_at if one not in found or found[one].is_over}
                left = until - time.monotonic()
                if not open_ids or left <= 0:
                    return list((await self._look(job_ids)).values())
                look_at = await _next(listener, min(left, _LOOK_AFTER)) & open_ids or open_ids

    async def follow(self, job_id: int) -> AsyncGenerator[Job | None, None]:
        """The job whenever it has changed until it is over; None is a sign of life between."""
        last: Job | None = None
        with self._listening([job_id]) as listener:
            while job := (await self._look([job_id])).get(job_id):
                yield job if job != last else None
                if job.is_over:
                    return
                last = job
                await _next(listener, _LOOK_AFTER)

    async def _look(self, job_ids: Collection[int]) -> dict[int, Job]:
        """Shielded: whoever leaves in the middle would take a database connection along."""
        with anyio.CancelScope(shield=True):
            found = await self._jobs.find_all(job_ids)
        return {job.id: job for job in found}

    @contextmanager
    def _listening(self, job_ids: Collection[int]) -> Iterator[_Listener]:
        listener = _Listener(asyncio.Event())
        for job_id in job_ids:
            self._listeners.setdefault(job_id, []).append(listener)
        try:
            yield listener
        finally:
            for job_id in job_ids:
                self._listeners[job_id].remove(listener)
                if not self._listeners[job_id]:
                    del self._listeners[job_id]


async def _next(listener: _Listener, seconds: float) -> set[int]:
    """What was rung for, empty when the time was over first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await listener.bell.wait()
    listener.bell.clear()
    rung, listener.rung = listener.rung, set()
    return rung
