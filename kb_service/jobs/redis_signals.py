"""Signals through a Redis stream, which several processes share."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from kb_service.jobs.broker import Work, register

_STREAM = "chat2llm:kb:index"
_KEPT_SIGNALS = 1_000
_READ_SECONDS = 2.0
_PAUSE, _PAUSE_MAX = 1.0, 30.0
_CLOSING_SECONDS = _READ_SECONDS + 1

logger = logging.getLogger(__name__)


class _SignalBroker(RedisStreamBroker):
    """Reads without acknowledging: the sweep finds what a killed process was told of.

    So there is nothing to take over from others, for which the library holds a lock and a pipeline,
    and loses both when it is cancelled with them. A cancelled read may go on, since redis-py can
    lose that it was cancelled: the event ends it.
    """

    def __init__(self, redis_url: str, is_closing: asyncio.Event) -> None:
        super().__init__(
            redis_url,
            queue_name=_STREAM,
            consumer_group_name=_STREAM,
            consumer_id="0",  # also what was sent before anybody listened
            maxlen=_KEPT_SIGNALS,
        )
        self._is_closing = is_closing

    async def listen(self) -> AsyncGenerator[Any, None]:
        async with Redis(connection_pool=self.connection_pool) as redis:
            while not self._is_closing.is_set():
                streams: Any = await redis.xreadgroup(
                    self.consumer_group_name,
                    self.consumer_name,
                    {_STREAM: ">"},
                    count=1,
                    block=int(_READ_SECONDS * 1000),
                    noack=True,
                )
                for _, messages in streams:
                    for _, fields in messages:
                        yield fields[b"data"]


class RedisSignals:
    """A stream that a process reads only while it has a worker to spare."""

    def __init__(self, work: Work, redis_url: str, workers: int) -> None:
        self._workers = workers
        self._is_closing = asyncio.Event()
        self._broker = _SignalBroker(redis_url, self._is_closing)
        self._task = register(self._broker, work)
        self._executor = ThreadPoolExecutor(1)
        self._listening = asyncio.create_task(self._listen())

    async def send(self, number: int) -> None:
        try:
            for _ in range(number):
                await self._task.kiq()
        except SendTaskError as error:
            logger.warning("the sweep will find what Redis was not told of: %r", error.__cause__)

    async def close(self) -> None:
        self._is_closing.set()
        await asyncio.wait([self._listening], timeout=_CLOSING_SECONDS)
        if not self._listening.done():  # Redis does not answer
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._broker.shutdown()
        self._executor.shutdown()

    async def _listen(self) -> None:
        pause = _PAUSE
        while not self._is_closing.is_set():  # a receiver may swallow that it is cancelled
            try:
                await self._broker.startup()
                pause = _PAUSE
                receiver = Receiver(
                    self._broker,
                    self._executor,
                    max_async_tasks=self._workers,
                    run_startup=False,
                    wait_tasks_timeout=0,  # the workers are told by others to stop
                )
                await receiver.listen(self._is_closing)
            except Exception:  # the boundary of a background task: Redis is away, mostly
                logger.warning("signals cannot be read for now", exc_info=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._is_closing.wait()
            pause = min(2 * pause, _PAUSE_MAX)
