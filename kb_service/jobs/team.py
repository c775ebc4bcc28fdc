"""The workers of this process: each claims until the queue is empty."""

import asyncio
import logging

import anyio

from kb_service.entities import Job
from kb_service.errors import LeaseLost
from kb_service.jobs.claiming import Claim
from kb_service.jobs.progress import Board
from kb_service.jobs.worker import Worker
from kb_service.store import LeaseStore

logger = logging.getLogger(__name__)


class Team:
    """At most `size` jobs at a time; `beat` is how often each writes its progress, in seconds."""

    def __init__(
        self, leases: LeaseStore, worker: Worker, board: Board, *, size: int, beat: float = 1.0
    ) -> None:
        self._leases, self._worker, self._board = leases, worker, board
        self._size, self._beat = size, beat
        self._working: dict[anyio.CancelScope, asyncio.Task[None]] = {}
        self._was_called = self._is_closed = False

    async def drain(self) -> None:
        """Have one more work until there is nothing to do; returns at once when all are at work."""
        if task := self._start_one():
            await asyncio.wait([task])

    def call(self) -> None:
        """Have all of them work until there is nothing to do."""
        while self._start_one():
            pass

    async def close(self) -> None:
        """What is being worked on goes back into the queue."""
        self._is_closed = True
        working = list(self._working.values())
        for scope in self._working:
            scope.cancel()  # not the task: a flip that has begun is shielded from its scope alone
        await asyncio.gather(*working)

    def _start_one(self) -> asyncio.Task[None] | None:
        self._was_called = True
        if len(self._working) >= self._size or self._is_closed:
            return None
        scope = anyio.CancelScope()
        task = asyncio.create_task(self._work(scope))
        self._working[scope] = task
        return task

    async def _work(self, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                while await self._run_next():
                    pass
            except Exception:  # the boundary of a background task: the sweep calls again
                logger.exception("jobs cannot be claimed for now")
            finally:  # at once: whoever is called now must not take this one for busy
                del self._working[scope]

    async def _run_next(self) -> bool:
        """False when there is nothing to do."""
        self._was_called = False
        with anyio.CancelScope(shield=True):
            job = await self._leases.claim()
        if job is None:
            return self._was_called  # while it was looking
        with self._board.bell(job.id) as bell:
            await self._run(Claim(job, self._leases, bell, beat=self._beat), job)
        return True

    async def _run(self, claim: Claim, job: Job) -> None:
        try:
            await self._worker.run(claim)
        except LeaseLost:
            logger.info("job %d was taken away", job.id)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._leases.give_back(job.lease)
            raise
        finally:
            self._board.ring([job.id])
