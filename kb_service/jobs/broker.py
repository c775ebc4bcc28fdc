"""How workers learn that there is work: signals without content, since the row is the truth.

A lost signal costs a few seconds, until the sweep; one too many finds an empty queue.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from taskiq import AsyncBroker, InMemoryBroker
from taskiq.acks import AcknowledgeType
from taskiq.decor import AsyncTaskiqDecoratedTask
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver

_TASK = "kb_service.index"
_STREAM = "chat2llm:kb:index"
_KEPT_SIGNALS = 1_000
_LOCK_SECONDS = 10.0  # else a process that is killed with it would keep it for good
_PAUSE, _PAUSE_MAX = 1.0, 30.0
_CLOSING_SECONDS = 3.0

logger = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]


class Signals(Protocol):
    """Calls workers, of this process or of any."""

    async def send(self, number: int) -> None:
        """So many jobs were queued. Never raises: the sweep finds what no signal told of."""

    async def close(self) -> None: ...


async def open_signals(work: Work, *, redis_url: str | None, workers: int) -> Signals:
    """Through Redis when several processes share the queue, else within this one."""
    logging.getLogger("taskiq").setLevel(logging.WARNING)  # it tells of each signal
    if redis_url is None:
        return await LocalSignals.open(work)
    return RedisSignals(work, redis_url, workers)


def _register(broker: AsyncBroker, work: Work) -> AsyncTaskiqDecoratedTask[[], Any]:
    async def index() -> None:  # taskiq renames what it registers, which a method does not allow
        await work()

    return broker.register_task(index, task_name=_TASK)


class LocalSignals:
    """For one process: a signal is a call."""

    def __init__(self, broker: AsyncBroker, work: Work) -> None:
        self._broker, self._task = broker, _register(broker, work)

    @classmethod
    async def open(cls, work: Work) -> "LocalSignals":
        broker = InMemoryBroker(sync_tasks_pool_size=1)
        await broker.startup()
        return cls(broker, work)

    async def send(self, number: int) -> None:
        for _ in range(number):
            await self._task.kiq()

    async def close(self) -> None:
        await self._broker.shutdown()


class RedisSignals:
    """A stream that a process reads only while it has a worker to spare."""

    def __init__(self, work: Work, redis_url: str, workers: int) -> None:
        from taskiq_redis import RedisStreamBroker  # 24 MB that one process alone does not need

        self._workers = workers
        self._broker = RedisStreamBroker(
            redis_url,
            queue_name=_STREAM,
            consumer_group_name=_STREAM,
            consumer_id="0",  # also what was sent before anybody listened
            xread_count=1,
            maxlen=_KEPT_SIGNALS,
            unacknowledged_lock_timeout=_LOCK_SECONDS,
        )
        self._task = _register(self._broker, work)
        self._executor = ThreadPoolExecutor(1)
        self._is_closing = asyncio.Event()
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
                    ack_type=AcknowledgeType.WHEN_RECEIVED,
                )
                await receiver.listen(self._is_closing)
            except Exception:  # the boundary of a background task: Redis is away, mostly
                logger.warning("signals cannot be read for now", exc_info=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._is_closing.wait()
            pause = min(2 * pause, _PAUSE_MAX)
