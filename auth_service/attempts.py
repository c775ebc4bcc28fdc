"""How often an address may fail: guessing is dear, forgetting is bounded."""

import math
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

from cachetools import LRUCache

from servicekit.errors import TooManyRequests

_ALLOWED = 10
_WINDOW_SECONDS = 300
_REMEMBERED = 10_000


class FailedAttempts:
    """Counts failures per address; an IPv6 address counts with its /64, which one host owns."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: LRUCache[str, tuple[int, float]] = LRUCache(_REMEMBERED)

    def check(self, address: str) -> None:
        """Raises TooManyRequests."""
        count, since = self._failures.get(_group(address), (0, 0.0))
        left = since + _WINDOW_SECONDS - self._clock()
        if count >= _ALLOWED and left > 0:
            raise TooManyRequests(
                "Too many failed tries, please wait. 失败次数过多，请稍后再试。",
                retry_after=math.ceil(left),
            )

    def record(self, address: str) -> None:
        group, now = _group(address), self._clock()
        count, since = self._failures.get(group, (0, now))
        if since + _WINDOW_SECONDS <= now:
            count, since = 0, now
        self._failures[group] = count + 1, since


def _group(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)
