"""Whether one more request is within the rates of its user or key, its client and its address."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from limits import RateLimitItem

from gateway.clients import Principal
from gateway.errors import RateLimited
from gateway.limits.counters import Counters
from gateway.rates import LimitClass, Rates, Subject, parse_rate


class Limiter:
    """Counts a request for each of its subjects, the narrowest first: who is over the own rate
    uses up nothing of what is shared with others.
    """

    def __init__(
        self,
        rates: Mapping[LimitClass, Rates],
        counters: Counters,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rates, self._counters, self._clock = rates, counters, clock

    async def check(self, limit: LimitClass, principal: Principal | None, address: str) -> None:
        """Raises RateLimited."""
        rates = self._rates[limit]
        if principal is not None:
            for subject, rate, name in _of_principal(limit, rates, principal):
                await self._count(rate, limit, subject, *name)
        if "address" in rates:
            await self._count(rates["address"], limit, "address", network_of(address))

    async def _count(self, rate: RateLimitItem, *subject: str) -> None:
        end = await self._counters.hit(rate, *subject)
        if end is not None:
            raise RateLimited(rate.amount, max(1, math.ceil(end - self._clock())))


def _of_principal(
    limit: LimitClass, rates: Rates, principal: Principal
) -> Iterator[tuple[Subject, RateLimitItem, tuple[str, ...]]]:
    if principal.key_id is None:
        if "user" in rates:
            yield "user", rates["user"], principal.key
    elif "key" in rates:
        yield "key", rates["key"], (principal.key_id,)
    own = principal.limits.get(limit)
    if own == "off":
        return
    rate = (_own_rate(own) if own else None) or rates.get("client")
    if rate is not None:
        yield "client", rate, (principal.caller.client_id,)


@lru_cache(1024)
def _own_rate(text: str) -> RateLimitItem | None:
    """auth_service has checked it when it was written; None when it knows rates that we do not."""
    try:
        return parse_rate(text)
    except ValueError as error:
        logging.getLogger(__name__).warning("a client's rate is ignored: %s", error)
        return None


@lru_cache(10_000)
def network_of(address: str) -> str:
    """What one visitor has: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)
