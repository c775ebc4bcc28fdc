"""The real five processes for tests, started the way `make run` starts them."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

from tests.warm_interpreter import warm

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("gateway", "auth_service", "chat_service", "kb_service", "session_service")
_READY_SECONDS = 60
_STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Client:
    """A registered host app: its id and the public key that mints its users' tokens."""

    id: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Five running services; `url` is the gateway's, `log` what their console shows."""

    url: str
    admin_key: str
    demo_secret: str
    demo_link: str
    data: Path
    env: Mapping[str, str]
    ports: Mapping[str, int]
    log: Path
    pid: int

    def service_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def run(self, *arguments: str) -> str:
        """Output of `python -m ...` on this stack's data, for the command lines of services."""
        package, *rest = arguments
        done = warm(package).run(*rest, env=self.env)
        done.check_returncode()
        return done.stdout

    def add_client(self, name: str) -> Client:
        output = self.run("auth_service", "client", "add", name, "--bits", "2048")
        number = re.search(r"client id: (\d+)", output)
        pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.DOTALL)
        assert number, output
        assert pem, output
        return Client(number[1], pem[0] + "\n")


@contextmanager
def running_stack(folder: Path, **env: str) -> Iterator[Stack]:
    """Start the launcher on the data in `folder`, and end everything on leaving."""
    ports, environment = stack_environment(folder, **env)
    log = folder / "console.log"
    with started_launcher(environment, log) as process:
        wait_until_ready(ports.values(), process, log)
        url, secret = f"http://127.0.0.1:{ports['gateway']}", environment["H5_DEMO_SECRET"]
        yield Stack(
            url=url,
            admin_key=environment["CHAT2LLM_ADMIN_KEY"],
            demo_secret=secret,
            demo_link=f"{url}/api/sso?client=0&secret={quote(secret)}",
            data=Path(environment["CHAT2LLM_DATA"]),
            env=environment,
            ports=ports,
            log=log,
            pid=process.pid,
        )


def stack_environment(folder: Path, **env: str) -> tuple[dict[str, int], dict[str, str]]:
    """Free ports for the services, and an environment that says so."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    settings = {f"{name.removesuffix('_service').upper()}_PORT": str(ports[name]) for name in ports}
    settings |= {
        "CHAT2LLM_DATA": str(folder / "data"),
        "GATEWAY_HOST": "127.0.0.1",
        "H5_DEMO_SECRET": "a-demo-secret-for-tests",
        "CHAT2LLM_ADMIN_KEY": "c2l-an-admin-key-for-tests-0123456789abcdef",
    }
    return ports, os.environ | settings | env


@contextmanager
def started_launcher(
    environment: Mapping[str, str], log: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher in a process group of its own, its console going to `log`."""
    with log.open("ab") as console:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.launcher", *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def wait_until_ready(
    ports: Iterable[int], process: subprocess.Popen[bytes], log: Path | None = None
) -> None:
    """Until each port's `/readyz` says so. Fails with the log when the process ends before."""
    deadline = time.monotonic() + _READY_SECONDS
    waiting = list(ports)
    while waiting:
        waiting = [port for port in waiting if not is_ready(port)]
        if waiting and (process.poll() is not None or time.monotonic() > deadline):
            text = log.read_text(errors="replace") if log else ""
            raise AssertionError(f"not ready: ports {waiting}, exit {process.poll()}\n{text}")
        time.sleep(0.05)


def service_pids(data: Path) -> dict[str, int]:
    """Process (and process group) id of each service, by the process manager's own log."""
    text = (data / "run" / "supervisord.log").read_text()
    return {name: int(pid) for name, pid in re.findall(r"spawned: '(\w+)' with pid (\d+)", text)}


def is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Free ports below the range that outgoing connections take theirs from."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 30_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
