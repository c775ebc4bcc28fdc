"""Good users before and during a flood of bogus tokens."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.connection import Connection
from bench.figures import Times
from bench.host_app import HostApp
from bench.servers import ROOT, memory_mb
from tests.stack import Stack

_RATE, _SECONDS = 1_000, 10
_USERS = 20
_PATH = "/session/list"


@dataclass(slots=True)
class Asked:
    """What one kind of good users met with."""

    times: Times = field(default_factory=Times)
    asked: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Flood:
    """What bench/flood.py met with."""

    rate: float
    statuses: dict[str, int]
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Figures:
    before: dict[str, Asked]
    during: dict[str, Asked]
    flood: Flood
    memory: float
    memory_after: float


class UserTraffic:
    """Twenty users, each at an address of its own: warm ones 40 times a second, cold ones 10 times.

    A cold one comes with a token that nobody has seen, from an address where it was before.
    """

    def __init__(self, url: str, host: HostApp) -> None:
        self._url, self._host = url, host
        self._tokens = [host.token(f"user-{n}") for n in range(_USERS)]

    async def settle(self) -> None:
        """Everybody comes once, so that users, addresses and sessions are known."""
        asked = Asked()
        async with Connection(self._url) as connection:
            for number, token in enumerate(self._tokens):
                await self._ask(connection, token, number, asked)
        if asked.refused:
            raise RuntimeError(f"{asked.refused} good users were refused before anything happened")

    async def go_on(self, seconds: float) -> dict[str, Asked]:
        kinds: dict[str, tuple[float, Callable[[int], str]]] = {
            "warm": (40, lambda number: self._tokens[number]),
            "cold": (10, lambda number: self._host.token(f"user-{number}")),
        }
        asked = await asyncio.gather(
            *(self._ask_often(rate, token_of, seconds) for rate, token_of in kinds.values())
        )
        return dict(zip(kinds, asked, strict=True))

    async def _ask_often(
        self, rate: float, token_of: Callable[[int], str], seconds: float
    ) -> Asked:
        asked, started = Asked(), time.monotonic()
        waiting: asyncio.Queue[Connection] = asyncio.Queue()
        connections = [Connection(self._url) for _ in range(8)]
        for connection in connections:
            waiting.put_nowait(connection)

        async def ask_one(number: int) -> None:
            token = token_of(number % _USERS)
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            connection = await waiting.get()
            await self._ask(connection, token, number % _USERS, asked)
            waiting.put_nowait(connection)

        await asyncio.gather(*map(ask_one, range(int(rate * seconds))))
        for connection in connections:
            await connection.__aexit__()
        return asked

    async def _ask(self, connection: Connection, token: str, number: int, asked: Asked) -> None:
        headers = {"Api-Token": token, "X-Forwarded-For": f"192.0.2.{number + 1}"}
        asked.asked += 1
        try:
            answer = await connection.ask("GET", _PATH, headers)
        except (OSError, asyncio.IncompleteReadError):
            asked.refused += 1
            return
        asked.refused += answer.status != 200
        asked.times.note(answer.milliseconds)


async def under_attack(stack: Stack, host: HostApp, traffic: UserTraffic, mode: str) -> Figures:
    memory = memory_mb(stack)
    before = await traffic.go_on(_SECONDS / 2)
    flooding = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.flood"),
        *(stack.url, host.client_id, mode, str(_RATE), str(_SECONDS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await asyncio.sleep(0.5)  # it starts
        during = await traffic.go_on(_SECONDS - 1)
        output, _ = await asyncio.wait_for(flooding.communicate(), 60)
    finally:
        if flooding.returncode is None:
            flooding.kill()
    return Figures(before, during, Flood(**json.loads(output)), memory, memory_mb(stack))
