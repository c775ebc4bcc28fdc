"""Load from outside: wrk for throughput, a raw socket for the time to the first chunk."""

import json
import re
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk gave; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    errors: int


def run_wrk(
    url: str,
    *,
    connections: int,
    seconds: int = 4,
    headers: dict[str, str] | None = None,
    body: object = None,
) -> Load:
    """Requests for some seconds; with `body`, JSON posts. Raises when wrk fails."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.TemporaryDirectory() as folder:
        if body is not None:
            script = Path(folder) / "post.lua"
            lua_string = json.dumps(json.dumps(body, ensure_ascii=False), ensure_ascii=False)
            script.write_text(
                'wrk.method = "POST"\n'
                f"wrk.body = {lua_string}\n"
                'wrk.headers["Content-Type"] = "application/json"\n'
            )
            command += ["-s", str(script)]
        output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    return _parse(output)


def first_chunk_ms(url: str, body: object, headers: dict[str, str], *, times: int = 30) -> float:
    """Median milliseconds from the request to the first byte of the body, one at a time."""
    return median(_first_chunk(url, body, headers) for _ in range(times))


def _first_chunk(url: str, body: object, headers: dict[str, str]) -> float:
    address = urlsplit(url)
    payload = json.dumps(body).encode()
    lines = [f"POST {address.path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((address.hostname or "", address.port or 80), 60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        received = b""
        while not received.partition(b"\r\n\r\n")[2]:
            read = connection.recv(65536)
            if not read:
                raise RuntimeError(f"{url} sent no body: {received[:200]!r}")
            received += read
        if b" 200 " not in received[:20]:
            raise RuntimeError(f"{url} answered {received[:200]!r}")
        return (time.perf_counter() - started) * 1000


def _parse(output: str) -> Load:
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}

    def latency(percentile: str) -> float:
        found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s|m) *$", output, re.MULTILINE)
        return float(found[1]) * units[found[2]] if found else float("nan")

    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    socket_errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    errors = int(bad[1]) if bad else 0
    errors += sum(map(int, socket_errors.groups())) if socket_errors else 0
    if rate is None:
        raise RuntimeError(f"wrk said nothing usable:\n{output}")
    return Load(float(rate[1]), latency("50"), latency("99"), errors)
