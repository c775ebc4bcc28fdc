"""One job while it is worked on: its lease is renewed, and losing it ends the work."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from kb_service.entities import Job, JobStep
from kb_service.errors import LeaseLost
from kb_service.store import LeaseStore

_RENEW_AFTER = 15.0

logger = logging.getLogger(__name__)


class Claim:
    """`beat` is how often progress is written and a cancelling elsewhere is noticed, in seconds."""

    def __init__(self, job: Job, leases: LeaseStore, bell: asyncio.Event, *, beat: float) -> None:
        self.job = job
        self._leases, self._bell, self._beat = leases, bell, beat
        self._step: JobStep = "parsing"
        self._done, self._total = 0, job.total
        self._is_over = self._has_news = False

    def note(self, done: int, total: int | None) -> None:
        """How far the work is, written with the next beat."""
        self._step, self._done, self._total = "indexing", done, total
        self._has_news = True

    async def hold_while(self, work: Callable[[], Awaitable[None]]) -> None:
        """Raises LeaseLost when the work had to be ended."""
        with anyio.CancelScope() as scope:
            beating = asyncio.create_task(self._keep(scope))
            try:
                await work()
            finally:
                self._is_over = True
                self._bell.set()
                with anyio.CancelScope(shield=True):
                    await beating
        if scope.cancelled_caught:
            raise LeaseLost

    async def _keep(self, scope: anyio.CancelScope) -> None:
        renewed = time.monotonic()
        while not self._is_over:
            was_rung = await self._wait()
            is_due = time.monotonic() - renewed > _RENEW_AFTER
            if self._is_over or not (was_rung or is_due or self._has_news):
                continue
            try:
                is_held = await self._renew()
            except Exception:  # a boundary: the next beat tries again, the fence holds until then
                logger.exception("the lease of job %d could not be renewed", self.job.id)
                continue
            if not is_held and not self._is_over:
                scope.cancel()
                return
            renewed = time.monotonic()

    async def _wait(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._beat):
                await self._bell.wait()
        was_rung = self._bell.is_set()
        self._bell.clear()
        return was_rung

    async def _renew(self) -> bool:
        self._has_news = False
        return await self._leases.renew(
            self.job.lease, step=self._step, done=self._done, total=self._total
        )
