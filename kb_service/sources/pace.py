"""Politeness: one request at a time to a host, with a pause between."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_HOSTS_MAX = 1_000


@dataclass(slots=True)
class _Host:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: float = float("-inf")


class Pace:
    """`delay` is the shortest pause between two requests to the same host, in seconds."""

    def __init__(
        self,
        delay: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._delay, self._clock, self._sleep = delay, clock, sleep
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    @asynccontextmanager
    async def turn(self, host: str, wished: float = 0) -> AsyncIterator[None]:
        """`wished` is the pause that the site asks for, when it is longer than ours."""
        entry = self._entry(host)
        async with entry.lock:
            pause = entry.last + max(self._delay, wished) - self._clock()
            if pause > 0:
                await self._sleep(pause)
            try:
                yield
            finally:
                entry.last = self._clock()

    def _entry(self, host: str) -> _Host:
        entry = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        while len(self._hosts) > _HOSTS_MAX:
            self._hosts.popitem(last=False)
        return entry
