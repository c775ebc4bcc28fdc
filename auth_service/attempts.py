"""How often someone may fail: guessing is dear, forgetting is bounded.

Failures are counted by the `limits` library, in this process or, for several copies, in Redis. When
Redis is away people still come in and failures are counted here alone: availability wins, and what
is guessed is long anyway.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cachetools import LRUCache
from limits import parse
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from auth_service.addresses import address_group
from auth_service.errors import TooManyFailures

_REMEMBERED = 10_000
_REDIS_SECONDS = 0.5
_REDIS_CONNECTIONS = 20
_PAUSE_SECONDS = 5
_LOG = logging.getLogger(__name__)
_Clock = Callable[[], float]
_Question = Callable[[FixedWindowRateLimiter], Awaitable[float]]


class FailedAttempts:
    """Counts failures of one kind; `group` says what counts as one, addresses by default."""

    def __init__(
        self,
        rate: str,
        clock: _Clock,
        *,
        redis: "RedisLimiter | None" = None,
        kind: str = "address",
        group: Callable[[str], str] = address_group,
    ) -> None:
        self._rate, self._kind, self._group = parse(rate), kind, group
        self._here = FixedWindowRateLimiter(BoundedStorage(clock))
        self._redis = redis

    async def check(self, who: str) -> None:
        """Raises TooManyFailures."""
        key = self._group(who)

        async def ends(limiter: FixedWindowRateLimiter) -> float:
            if await limiter.test(self._rate, self._kind, key):
                return 0
            return (await limiter.get_window_stats(self._rate, self._kind, key)).reset_time

        if end := await self._ask(ends):
            raise TooManyFailures(retry_after=max(1, math.ceil(end - time.time())))

    async def record(self, who: str) -> None:
        key = self._group(who)
        await self._ask(lambda limiter: limiter.hit(self._rate, self._kind, key))

    async def _ask(self, question: _Question) -> float:
        """What Redis says, or this process alone without Redis."""
        answer = await self._redis.ask(question) if self._redis else None
        return await question(self._here) if answer is None else answer


class RedisLimiter:
    """The limiter that all copies share; nobody waits for it twice while it is away."""

    def __init__(self, url: str, clock: _Clock) -> None:
        # Here, because a process without Redis need not carry its client.
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_REDIS_CONNECTIONS,
            timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            socket_timeout=_REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        options: dict[str, Any] = {"connection_pool": self._pool, "implementation": "redispy"}
        self._limiter = FixedWindowRateLimiter(RedisStorage(url, wrap_exceptions=True, **options))
        self._clock, self._away_until = clock, -math.inf

    async def ask(self, question: _Question) -> float | None:
        """None while Redis is away."""
        if self._clock() < self._away_until:
            return None
        was_away = self._away_until > -math.inf
        try:
            answer = await question(self._limiter)
        except StorageError as error:
            self._away_until = self._clock() + _PAUSE_SECONDS
            if not was_away:
                _LOG.warning("Redis is away, failed tries are counted here alone: %s", error)
            return None
        if was_away:
            self._away_until = -math.inf
            _LOG.warning("Redis is back")
        return answer

    async def close(self) -> None:
        await self._pool.disconnect()


class BoundedStorage(Storage):
    """The memory of one process: the library's own grows with every new address of an attacker."""

    STORAGE_SCHEME = None

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock
        self._counts: LRUCache[str, tuple[int, float]] = LRUCache(_REMEMBERED)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends = self._live(key) or (0, self._clock() + expiry)
        self._counts[key] = count + amount, ends
        return count + amount

    async def get(self, key: str) -> int:
        return (self._live(key) or (0, 0.0))[0]

    async def get_expiry(self, key: str) -> float:
        """By the wall clock, as the library counts."""
        known = self._live(key)
        return time.time() + (known[1] - self._clock() if known else 0)

    async def check(self) -> bool:
        return True

    async def reset(self) -> None:
        self._counts.clear()

    async def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def _live(self, key: str) -> tuple[int, float] | None:
        known = self._counts.get(key)
        return known if known and known[1] > self._clock() else None
