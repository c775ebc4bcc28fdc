"""The gateway's own work for a credential that it knows, timed in this process."""

import time
from collections.abc import Mapping
from typing import Any

from starlette.types import Scope

from gateway.auth.admission import Admission
from gateway.auth.identities import Identities
from gateway.auth.inbound import Inbound
from gateway.auth.peers import Peers
from gateway.clients import AuthClient, Principal
from gateway.limits.counters import Counters
from gateway.limits.lanes import Lane, Lanes
from gateway.limits.limiter import Limiter
from gateway.rates import Rates, parse_rates
from gateway.routing import ROUTES, Route
from servicekit.identity import Caller

_CALLS = 20_000
_ROUNDS = 5
_SESSION = "c2s-" + "s" * 43


class _Auth(AuthClient):
    """Knows one user, whose session the cookie already holds."""

    def __init__(self) -> None:
        """It has no service to ask."""

    async def introspect(self, *_: Any, **__: Any) -> Principal:
        caller = Caller("2", "li", "Li", ("chat", "kb:read"))
        expiry = time.time() + 3600
        return Principal(caller, "signed", expiry, _SESSION, expiry)


async def check_ms(route_path: str, rates: str) -> float:
    """Median over rounds: who it is, whether the scope allows the route, and the four limits."""
    route = next(route for route in ROUTES if route.path == route_path)
    assert route.limit is not None
    counted: Mapping[Any, Rates] = {route.limit: parse_rates(rates), "login": parse_rates("off")}
    limiter = Limiter(counted, Counters(""))
    lane = Lane(places=8, waiting=8)
    admission = Admission(Identities(_Auth(), limiter, Lanes(known=lane, strangers=lane)), ())
    inbound = Inbound(_scope(route), Peers(()))
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            admitted = await admission.admit(route, inbound)
            await limiter.check(route.limit, admitted.principal, inbound.address)
        rounds.append((time.perf_counter() - started) * 1000 / _CALLS)
    return sorted(rounds)[_ROUNDS // 2]


def _scope(route: Route) -> Scope:
    return {
        "type": "http",
        "method": route.method,
        "path": route.path,
        "raw_path": route.path.encode(),
        "query_string": b"",
        "scheme": "http",
        "client": ("192.0.2.1", 50_000),
        "headers": [
            (b"host", b"chat.example"),
            (b"api-token", b"t" * 700),
            (b"cookie", f"chat2llm_session={_SESSION}".encode()),
        ],
    }
