"""The product's two front doors: the gateway itself, and nginx with the configuration we ship."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack import ROOT, Stack, free_ports

_UNPRIVILEGED = "nobody"


@pytest.fixture(scope="module", params=["gateway", "nginx"])
def door(request: pytest.FixtureRequest, stack: Stack) -> Iterator[str]:
    """Where the browser goes."""
    if request.param == "gateway":
        yield stack.url
        return
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with _running_nginx(program, stack.ports["gateway"]) as url:
        yield url


@contextmanager
def _running_nginx(program: str, gateway_port: int) -> Iterator[str]:
    """Debian's nginx with deploy/nginx.conf, in the foreground and without privileges."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        here = Path(folder)
        _render(here, port, gateway_port)
        user = _UNPRIVILEGED if os.getuid() == 0 else None
        if user:
            shutil.chown(here, user)
        files = ("-p", folder, "-c", here / "nginx.conf", "-e", here / "error.log")
        process = subprocess.Popen(
            [program, *map(str, files), "-g", "daemon off;"], user=user, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port, process, here / "error.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _render(folder: Path, port: int, gateway_port: int) -> None:
    """The shipped configuration with this machine's ports and folders; each must be in it once."""
    text = (ROOT / "deploy" / "nginx.conf").read_text().replace("/tmp/nginx", f"{folder}/nginx")
    for shipped, here in {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "server gateway:7861;": f"server 127.0.0.1:{gateway_port};",
        "root /srv/h5;": f"root {folder / 'h5'};",
        "error_log /dev/stderr": f"error_log {folder / 'error.log'}",
        "access_log /dev/stdout": f"access_log {folder / 'access.log'}",
        "worker_processes auto;": "worker_processes 1;",
    }.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    (folder / "nginx.conf").write_text(text)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nginx did not start, exit {process.poll()}\n{log.read_text()}")
