"""How workers learn that there is work: signals without content, since the row is the truth.

A lost signal costs a few seconds, until the sweep; one too many finds an empty queue.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from taskiq import AsyncBroker, InMemoryBroker
from taskiq.decor import AsyncTaskiqDecoratedTask

_TASK = "kb_service.index"

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
    from kb_service.jobs.redis_signals import RedisSignals  # 24 MB that one process alone spares

    return RedisSignals(work, redis_url, workers)


def register(broker: AsyncBroker, work: Work) -> AsyncTaskiqDecoratedTask[[], Any]:
    async def index() -> None:  # taskiq renames what it registers, which a method does not allow
        await work()

    return broker.register_task(index, task_name=_TASK)


class LocalSignals:
    """For one process: a signal is a call."""

    def __init__(self, broker: AsyncBroker, work: Work) -> None:
        self._broker, self._task = broker, register(broker, work)

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
