"""`make bench-identity`: what knowing who asks costs, and what bogus tokens cost the others.

Starts its own five processes on free ports with a data folder of its own, sends load to loopback
only, and ends everything that it started. About two minutes.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.admission import check_ms
from bench.attack import Figures, UserTraffic, under_attack
from bench.connection import Connection
from bench.figures import Times
from bench.host_app import HostApp, SigningKey
from bench.identity_backend import IDENTIFIED, PUBLIC
from bench.load import run_wrk
from bench.servers import Process, wait_for_port
from tests.stack import Stack, free_ports, running_stack

_ROUNDS = 9
_TIMES = 100
_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_NO_LIMITS = "off"
# Far away, but counted for every subject.
_COUNTED = "; ".join(f"{kind} 1000000000/minute" for kind in ("user", "key", "client", "address"))


def main() -> None:
    if sys.dont_write_bytecode:
        sys.exit("unset PYTHONDONTWRITEBYTECODE: without byte code the figures mean nothing")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder), TRUSTED_PROXIES="127.0.0.0/8") as stack,
    ):
        host = HostApp.registered(stack)
        measure_warm_check(stack, host)
        asyncio.run(measure_cold(stack, host))
        asyncio.run(measure_flood(stack, host))


def measure_warm_check(stack: Stack, host: HostApp) -> None:
    """The same body to the same backend, by a public route and by an identified, limited one."""
    headers = {"Api-Token": host.token("warm"), "Content-Type": "application/json"}
    public, identified = list[float](), list[float]()
    with gateway_before_backend(stack) as url:
        for _ in range(_ROUNDS):
            plain = run_wrk(f"{url}{PUBLIC}", connections=1, seconds=1, headers=headers, body={})
            known = run_wrk(
                f"{url}{IDENTIFIED}", connections=1, seconds=1, headers=headers, body={}
            )
            public.append(plain.p50)
            identified.append(known.p50)
            if plain.errors or known.errors:
                raise RuntimeError(f"{plain.errors} and {known.errors} errors")
    added = median(ours - theirs for ours, theirs in zip(identified, public, strict=True))
    report(
        "warm identity check and limits, added p50",
        f"{added:+.3f} ms",
        f"<= 0.1 ms; public {median(public):.3f} ms, identified {median(identified):.3f} ms",
    )
    alone = asyncio.run(check_ms(IDENTIFIED, _COUNTED))
    report("... the check and four limits alone, in process", f"{alone:.3f} ms", "<= 0.1 ms")


@contextmanager
def gateway_before_backend(stack: Stack) -> Iterator[str]:
    """A second gateway, whose every neighbour is bench/identity_backend.py."""
    backend, port = free_ports(2)
    url = f"http://127.0.0.1:{backend}"
    environment = {
        **stack.env,
        "GATEWAY_PORT": str(port),
        "AUTH_URL": url,
        "KB_URL": url,
        "LIMIT_LOGIN": _NO_LIMITS,
        "LIMIT_SEARCH": _COUNTED,
    }
    with Process() as behind, Process() as gateway:
        auth = stack.service_url("auth_service")
        behind.start([sys.executable, "-m", "bench.identity_backend", str(backend), auth])
        wait_for_port(backend)
        gateway.start([sys.executable, "-m", "gateway"], **environment)
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"


async def measure_cold(stack: Stack, host: HostApp) -> None:
    """One at a time: every token is seen for the first time, its user is known."""
    cold, warm = Times(), Times()
    async with Connection(stack.url) as connection:
        tokens = [host.token("li") for _ in range(_TIMES + 1)]
        for number, token in enumerate(tokens):
            answer = await connection.ask("GET", "/user/info", {"Api-Token": token})
            again = await connection.ask("GET", "/user/info", {"Api-Token": token})
            if (answer.status, again.status) != (200, 200):
                raise RuntimeError(f"/user/info: {answer}, {again}")
            if number:
                cold.note(answer.milliseconds)
                warm.note(again.milliseconds)
        report("cold v1 token of a known user", str(cold), f"p50 <= 15 ms; the same warm: {warm}")
        for algorithm in _ALGORITHMS:
            key = SigningKey(algorithm)
            app = HostApp.registered(stack, key)
            await _measure_exchange(connection, app, key)


async def _measure_exchange(connection: Connection, app: HostApp, key: SigningKey) -> None:
    times = Times()
    headers = {"Content-Type": "application/json"}
    for number, token in enumerate([app.signed_token("li", key) for _ in range(_TIMES + 1)]):
        body = json.dumps({"token": token}).encode()
        answer = await connection.ask("POST", "/auth/exchange", headers, body)
        if answer.status != 200:
            raise RuntimeError(f"/auth/exchange: {answer}")
        if number:
            times.note(answer.milliseconds)
    report(f"v2 token exchanged, {key.algorithm}", str(times), "every token new, its user known")


async def measure_flood(stack: Stack, host: HostApp) -> None:
    traffic = UserTraffic(stack.url, host)
    await traffic.settle()
    for mode in ("one", "many"):
        figures = await under_attack(stack, host, traffic, mode)
        name = "one address" if mode == "one" else "10,000 addresses"
        report_flood(name, figures)


def report_flood(name: str, figures: Figures) -> None:
    sent = figures.flood
    total = sum(sent.statuses.values())
    shares = ", ".join(f"{status}: {n / total:.0%}" for status, n in sorted(sent.statuses.items()))
    report(
        f"bogus tokens from {name}, answered",
        f"{sent.rate:.0f}/s: {shares}",
        f"1,000/s offered for 10 s; p50 {sent.p50:.1f} ms, p95 {sent.p95:.1f} ms",
    )
    for kind, before in figures.before.items():
        during = figures.during[kind]
        report(
            f"... {kind} good users meanwhile",
            f"{during.times}, {during.refused} of {during.asked} refused",
            f"before: {before.times}, {before.refused} of {before.asked} refused",
        )
    report("... memory after it", f"{figures.memory_after:.0f} MB", f"{figures.memory:.0f} MB")


def report(name: str, value: str, reference: str) -> None:
    print(f"| {name} | {value} | {reference} |", flush=True)


if __name__ == "__main__":
    print("| what | measured | against |\n|---|---|---|", flush=True)
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s in all", flush=True)
