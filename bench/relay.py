"""`make bench-relay`: what the way to a model costs, beside the model itself and other relays.

Streams of 50 tokens from a vendor stub that does not pause: through nothing, through FastAPI with
the openai SDK, through LiteLLM's proxy (one worker, installed into a folder that is removed at the
end), and through the product, which stores questions and answers besides. Then a thousand slow
streams at once. Needs wrk.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.connection import Connection
from bench.load import first_chunk_ms, run_wrk
from bench.servers import Process, Relay, Suite, Vendor, wait_for_port
from tests.stack import free_ports

_TOKENS = 50
_SECONDS = 4
_HELD, _PACE = 1_000, 0.5
_TOLD = 150
_QUERY = "你好"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the model: where it is asked and what with; `cpu_seconds` is what it used so far."""

    name: str
    url: str
    body: object
    cpu_seconds: Callable[[], float]
    headers: dict[str, str] = field(default_factory=dict)

    def measure(self) -> None:
        first = first_chunk_ms(self.url, self.body, self.headers)
        for connections in (1, 16, 64):
            before = self.cpu_seconds()
            load = run_wrk(
                self.url,
                connections=connections,
                seconds=_SECONDS,
                headers=self.headers,
                body=self.body,
            )
            used = self.cpu_seconds() - before
            per_token = used / (load.per_second * _SECONDS * _TOKENS) * 1e6
            _row(
                f"{self.name}, c={connections}",
                f"{load.per_second:.0f}",
                f"{load.p50:.1f}",
                f"{load.p99:.1f}",
                f"{per_token:.0f}",
                f"{first:.1f}" if connections == 1 else "",
                str(load.errors),
            )


class LiteLlm(Process):
    """LiteLLM's proxy as it comes, in an environment of its own."""

    def __init__(self, folder: Path, vendor_url: str) -> None:
        super().__init__()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        vendor = {"model": "openai/stub", "api_base": vendor_url, "api_key": "none"}
        key = f"sk-{secrets.token_hex(32)}"  # it does not start without one
        self.headers = {"Authorization": f"Bearer {key}"}
        settings = {
            "model_list": [{"model_name": "stub", "litellm_params": vendor}],
            "general_settings": {"master_key": key},
        }
        config = folder / "config.yaml"
        config.write_text(json.dumps(settings))
        command = [str(folder / "bin" / "litellm"), "--config", str(config)]
        # Its table of prices would be fetched from the internet.
        self.start(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_LOG="ERROR",
        )
        wait_for_port(port, seconds=180)

    @staticmethod
    @contextmanager
    def installed() -> Iterator[Path]:
        """Raises CalledProcessError where pip cannot get it."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            venv.create(folder, with_pip=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
            subprocess.run([*pip, "install", "--quiet", "litellm[proxy]"], check=True)
            yield folder


def main() -> None:
    if sys.dont_write_bytecode:
        sys.exit("unset PYTHONDONTWRITEBYTECODE: without byte code the figures mean nothing")
    _row("way, connections", "streams/s", "p50 ms", "p99 ms", "CPU us/token", "first ms", "errors")
    _row(*["---"] * 7)
    with Vendor() as vendor:
        _measure_others(vendor)
        with _suite(vendor) as suite:
            _measure_ours(suite)
    with Vendor(pace=_PACE) as vendor, _suite(vendor) as suite:
        asyncio.run(_hold(suite))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}", flush=True)


def _measure_others(vendor: Vendor) -> None:
    path, asked = "/chat/completions", _openai("stub")
    Way("vendor stub alone", vendor.url + path, asked, vendor.cpu_seconds).measure()
    with Relay(vendor.url) as relay:
        body = {"query": _QUERY}
        Way("FastAPI + openai SDK", f"{relay.url}/chat", body, relay.cpu_seconds).measure()
    try:
        with LiteLlm.installed() as folder, LiteLlm(folder, vendor.url) as proxy:
            url, cpu = proxy.url + path, proxy.cpu_seconds
            Way("LiteLLM's proxy", url, asked, cpu, proxy.headers).measure()
    except (subprocess.CalledProcessError, TimeoutError) as error:
        print(f"LiteLLM's proxy is left out: {error}", flush=True)


@contextmanager
def _suite(vendor: Vendor) -> Iterator[Suite]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Suite.running(Path(folder), vendor_url=vendor.url) as suite,
    ):
        yield suite


def _measure_ours(suite: Suite) -> None:
    def way(name: str, path: str, body: object) -> Way:
        return Way(name, suite.url + path, body, suite.cpu_seconds, suite.user_headers)

    way("all five, /v1", "/v1/chat/completions", _openai("custom-api")).measure()
    way("all five, /chat/chat, stored", "/chat/chat", _chat()).measure()


def _openai(model: str) -> dict[str, object]:
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": _QUERY}]}


def _chat() -> dict[str, object]:
    return {"query": _QUERY, "stream": True, "model_name": "custom-api"}


async def _hold(suite: Suite) -> None:
    """Many streams of two tokens a second, all open at once."""
    headers = suite.user_headers | {"Content-Type": "application/json"}
    body = json.dumps(_chat()).encode()

    async def outcome() -> str:
        async with Connection(suite.url) as connection:
            try:
                answer = await connection.ask("POST", "/chat/chat", headers, body)
            except (OSError, asyncio.IncompleteReadError) as error:
                return type(error).__name__
        text = answer.body.decode()
        whole = answer.status == 200 and text.count("词") == _TOKENS
        return "whole" if whole else f"HTTP {answer.status} {text[-_TOLD:]}"

    idle, started = suite.memory_mb(), time.monotonic()
    streams = asyncio.gather(*(outcome() for _ in range(_HELD)))
    await asyncio.sleep(_TOKENS * _PACE * 0.8)
    held = await asyncio.to_thread(suite.memory_mb)
    outcomes = Counter(await streams)
    took = time.monotonic() - started
    print(
        f"{_HELD} streams at {1 / _PACE:.0f} tokens/s: {dict(outcomes)} after {took:.0f} s "
        f"(at the least {_TOKENS * _PACE:.0f} s); memory {idle:.0f} MB idle, {held:.0f} MB while "
        f"they are open, {suite.memory_mb():.0f} MB after",
        flush=True,
    )


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
