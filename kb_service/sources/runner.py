"""Runs sources when they are due: a few at a time, each under a lease that is renewed meanwhile."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from random import SystemRandom

import anyio

from kb_service.entities import KnowledgeBase
from kb_service.errors import LeaseLost
from kb_service.repeating import repeat
from kb_service.source_entities import Source
from kb_service.sources.crawl import Crawl, Tally
from kb_service.store import SourceStore

_EVERY = 10.0
_RENEW_AFTER = 5.0
_AT_ONCE = 4
_RUN_SECONDS = 6 * 3_600
_JITTER = 0.05

logger = logging.getLogger(__name__)
FindKnowledgeBase = Callable[[int], KnowledgeBase | None]


class Runner:
    """The rows are the truth: what is due is found again after a restart."""

    def __init__(
        self, sources: SourceStore, crawl: Crawl, find_knowledge_base: FindKnowledgeBase
    ) -> None:
        self._sources, self._crawl, self._find = sources, crawl, find_knowledge_base
        self._bell = asyncio.Event()
        self._running = 0

    def call(self) -> None:
        """Something may be due now."""
        self._bell.set()

    async def run(self) -> None:
        """For as long as the service runs; what is being run when it ends is given back."""
        async with asyncio.TaskGroup() as group:
            await repeat(partial(self._start_due, group), every=_EVERY, bell=self._bell)

    async def _start_due(self, group: asyncio.TaskGroup) -> None:
        while self._running < _AT_ONCE and (source := await self._sources.claim()):
            self._running += 1
            group.create_task(self._work(source))

    async def _work(self, source: Source) -> None:
        try:
            await self._run(source)
        except LeaseLost:
            logger.info("source %d was taken away", source.id)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._sources.give_back(source)
            raise
        except Exception:  # the boundary of a background task: its lease runs out, and it is again
            logger.exception("source %d broke down", source.id)
        finally:
            self._running -= 1
            self._bell.set()

    async def _run(self, source: Source) -> None:
        kb = self._find(source.kb_id)
        if kb is None:
            raise LeaseLost
        tally, is_over = Tally(), asyncio.Event()
        with anyio.CancelScope() as scope:
            renewing = asyncio.create_task(self._keep(source, tally, scope, is_over))
            try:
                if source.state == "removing":
                    await self._crawl.remove(source, kb, tally)
                else:
                    await self._crawl_in_time(source, kb, tally)
            finally:
                is_over.set()
                with anyio.CancelScope(shield=True):  # no statement is left in the middle
                    await renewing
        if scope.cancelled_caught:
            raise LeaseLost
        if source.state == "removing":
            await self._sources.remove(source.id)
        else:
            jitter = SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)
            await self._sources.finish(source, tally.result(), jitter=jitter)

    async def _crawl_in_time(self, source: Source, kb: KnowledgeBase, tally: Tally) -> None:
        with anyio.move_on_after(_RUN_SECONDS) as scope:
            try:
                await self._crawl.run(source, kb, tally)
            except LeaseLost:
                raise
            except Exception:  # a boundary: what broke one run must not be run again and again
                logger.exception("source %d broke down", source.id)
                tally.fault = "出现内部错误。Something went wrong inside."
        if scope.cancelled_caught:
            tally.fault = "运行时间过长，已停止。It took too long and was stopped."

    async def _keep(
        self, source: Source, tally: Tally, scope: anyio.CancelScope, is_over: asyncio.Event
    ) -> None:
        while True:
            with anyio.move_on_after(_RENEW_AFTER):
                await is_over.wait()
            if is_over.is_set():
                return
            try:
                is_held = await self._sources.renew(source, tally.result())
            except Exception:  # a boundary: the next time tries again, the fence holds until then
                logger.exception("the lease of source %d could not be renewed", source.id)
                continue
            if not is_held:
                scope.cancel()
                return
