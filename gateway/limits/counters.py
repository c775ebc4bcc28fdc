"""Where requests are counted: in memory that has a bound, or in Redis while it answers.

Windows are fixed: one begins with a subject's first request, so subjects do not begin together.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache
from limits import RateLimitItem
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

_COUNTERS = 50_000
_REDIS_SECONDS = 0.25
_REDIS_PAUSE = 5.0
_REDIS_CONNECTIONS = 20

logger = logging.getLogger(__name__)


class BoundedMemory(Storage):
    """Counters of this process. The library's own walks through all of them for each request."""

    STORAGE_SCHEME = None

    def __init__(
        self, most: int = _COUNTERS, clock: Callable[[], float] = time.time, **_: float | str | bool
    ) -> None:
        super().__init__()
        self._clock = clock
        self._windows: LRUCache[str, tuple[int, float]] = LRUCache(most)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self._clock()
        count, end = self._windows.get(key, (0, 0.0))
        if end <= now:
            count, end = 0, now + expiry
        self._windows[key] = count + amount, end
        return count + amount

    async def get(self, key: str) -> int:
        count, end = self._windows.get(key, (0, 0.0))
        return count if end > self._clock() else 0

    async def get_expiry(self, key: str) -> float:
        return self._windows.get(key, (0, self._clock()))[1]

    async def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        return count


class Counters:
    """Counts in Redis when there is one, and in memory while it does not answer."""

    def __init__(self, redis_url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._memory = FixedWindowRateLimiter(BoundedMemory(clock=clock))
        self._pool: BlockingConnectionPool | None = None
        self._redis: FixedWindowRateLimiter | None = None
        if redis_url:
            self._pool = _redis_pool(redis_url)
            self._redis = FixedWindowRateLimiter(_redis_storage(redis_url, self._pool))
        self._away_until = 0.0

    async def hit(self, rate: RateLimitItem, *subject: str) -> float | None:
        """Count one; None when that is within the rate, else when its window ends."""
        if self._redis is None or self._clock() < self._away_until:
            return await _hit(self._memory, rate, subject)
        away = self._away_until > 0
        if away:  # one request looks whether it is back, the others do not wait
            self._away_until = self._clock() + _REDIS_PAUSE
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                end = await _hit(self._redis, rate, subject)
        except (StorageError, TimeoutError) as error:
            if not self._away_until:
                logger.warning("Redis does not answer, limits are counted here: %r", error)
            self._away_until = self._clock() + _REDIS_PAUSE
            return await _hit(self._memory, rate, subject)
        if away:
            logger.warning("Redis answers again, limits are counted there")
        self._away_until = 0.0
        return end

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.disconnect()


async def _hit(
    limiter: FixedWindowRateLimiter, rate: RateLimitItem, subject: tuple[str, ...]
) -> float | None:
    if await limiter.hit(rate, *subject):
        return None
    return (await limiter.get_window_stats(rate, *subject)).reset_time


def _redis_pool(url: str) -> "BlockingConnectionPool":
    # Here, because a process without Redis need not carry its client.
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return BlockingConnectionPool.from_url(
        url,
        max_connections=_REDIS_CONNECTIONS,
        timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _redis_storage(url: str, pool: "BlockingConnectionPool") -> RedisStorage:
    options: dict[str, Any] = {"connection_pool": pool, "implementation": "redispy"}
    return RedisStorage(url, wrap_exceptions=True, **options)
