"""How many questions about strangers may be open at once, so that a flood of them is shed.

Addresses that lately had a good credential have a lane of their own: strangers cannot fill it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cachetools import TTLCache

from gateway.limits.limiter import network_of
from servicekit.errors import TooManyRequests

_ADDRESSES = 20_000
_LATELY = 1800.0
_LONGEST_WAIT = 5.0


class Lane:
    """So many places, and so many who may wait for one."""

    def __init__(self, places: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._left = waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises TooManyRequests."""
        await self._take()
        try:
            yield
        finally:
            self._free.release()

    async def _take(self) -> None:
        if self._free.locked() and self._left <= 0:
            raise _busy()
        self._left -= 1
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._left += 1


class Lanes:
    """Two lanes, and who may use the better one."""

    def __init__(
        self, *, known: Lane, strangers: Lane, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._known, self._strangers = known, strangers
        self._good: TTLCache[str, bool] = TTLCache(_ADDRESSES, ttl=_LATELY, timer=clock)

    def of(self, address: str) -> Lane:
        return self._known if network_of(address) in self._good else self._strangers

    def remember(self, address: str) -> None:
        """A good credential came from there."""
        self._good[network_of(address)] = True


def _busy() -> TooManyRequests:
    text = "Too many sign-ins right now, please try again. 登录请求过多，请稍后再试。"
    return TooManyRequests(text, retry_after=2)
