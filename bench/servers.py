"""What is measured and what it is measured against, each in processes of its own on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from bench import processes
from tests.stack import Stack, free_ports, running_stack

ROOT = Path(__file__).parent.parent

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{proxy};
    location / {{ proxy_pass http://backend; proxy_http_version 1.1;
      proxy_set_header Connection ""; }} }}
}}
"""


class Process:
    """A child in its own group; leaving the context ends the whole group."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self._child.pid) if self._child else 0.0

    def start(self, command: list[str], **environment: str) -> int:
        self._child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child:
            os.killpg(self._child.pid, signal.SIGTERM)
            try:
                self._child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)


class Vendor(Process):
    """The scripted OpenAI-compatible server: 50 tokens, `pace` seconds between two."""

    def __init__(self, *, pace: float = 0) -> None:
        super().__init__()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "tests.fakes.vendor", "--port", str(port)]
        self.start([*command, "--pace", str(pace)])
        wait_for_port(port)


class Relay(Process):
    """bench/reference_relay.py."""

    def __init__(self, vendor_url: str) -> None:
        super().__init__()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.start([sys.executable, "-m", "bench.reference_relay", vendor_url, str(port)])
        wait_for_port(port)


class Backend(Process):
    """bench/reference_backend.py, which answers like a service does."""

    def __init__(self) -> None:
        super().__init__()
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.start([sys.executable, "-m", "bench.reference_backend", str(self.port)])
        wait_for_port(self.port)


class Nginx(Process):
    """Debian's nginx with proxy_pass to a backend."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        file = Path(self._folder.name) / "nginx.conf"
        file.write_text(NGINX.format(folder=self._folder.name, backend=backend.port, proxy=port))
        self.start(["nginx", "-c", str(file), "-p", self._folder.name])
        wait_for_port(port)


class Suite:
    """A running suite, with a user who is logged in and an operator's key."""

    def __init__(self, stack: Stack, start_seconds: float) -> None:
        self._stack, self.start_seconds = stack, start_seconds
        self.url = stack.url
        self.user_headers = {"Api-Token": self._log_in()}

    @classmethod
    @contextmanager
    def running(cls, folder: Path, *, vendor_url: str) -> Iterator["Suite"]:
        started = time.perf_counter()
        # One user asks more than any person may: counted as always, but far from the bound.
        far = "; ".join(f"{who} 1000000000/minute" for who in ("user", "key", "client", "address"))
        settings = {
            "ENABLE_LLM_MODEL": "custom-api",
            "CUSTOM_API_BASE_URL": vendor_url,
            "CUSTOM_API_MODEL": "stub",
            "LIMIT_CHAT": far,
            "LIMIT_SEARCH": far,
            "LIMIT_UPLOAD": far,
        }
        with running_stack(folder, **settings) as stack:
            yield cls(stack, time.perf_counter() - started)

    def memory_mb(self) -> float:
        return memory_mb(self._stack)

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self._stack.pid)

    @contextmanager
    def gateway_before(self, backend_url: str) -> Iterator[str]:
        """A second gateway with the same identity whose sessions live at `backend_url`."""
        (port,) = free_ports(1)
        environment = {**self._stack.env, "GATEWAY_PORT": str(port), "SESSION_URL": backend_url}
        with Process() as process:
            process.start([sys.executable, "-m", "gateway"], **environment)
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"

    def fill(self, name: str, passages: list[str]) -> None:
        """A knowledge base with these passages as its chunks."""
        self._create(name)
        docs = {"facts.txt": [{"page_content": text, "metadata": {}} for text in passages]}
        self._upload(name, "facts.txt", "\n".join(passages).encode(), {"docs": json.dumps(docs)})

    def upload_seconds(self, name: str, file_name: str, content: bytes) -> float:
        self._create(name)
        started = time.perf_counter()
        self._upload(name, file_name, content, {})
        return time.perf_counter() - started

    def _log_in(self) -> str:
        location = httpx.get(self._stack.demo_link).headers["Location"]
        return str(httpx.URL(location).params["token"])

    def _create(self, name: str) -> None:
        body = {"knowledge_base_name": name, "kb_zh_name": name, "kb_info": name}
        self._post("create_knowledge_base", json=body)

    def _upload(self, name: str, file_name: str, content: bytes, fields: dict[str, str]) -> None:
        answer = self._post(
            "upload_docs",
            data=fields | {"knowledge_base_name": name},
            files=[("files", (file_name, content))],
        )
        if answer["data"]["failed_files"]:
            raise RuntimeError(f"upload failed: {answer}")

    def _post(self, route: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._stack.admin_key}"}
        url = f"{self.url}/knowledge_base/{route}"
        answer = httpx.post(url, headers=headers, timeout=300, **body).json()
        if answer["code"] != 200:
            raise RuntimeError(f"{route}: {answer}")
        return answer


def memory_mb(stack: Stack) -> float:
    """Sum of the proportional set sizes of the five services and their children."""
    return processes.memory_mb(stack.pid)


def wait_for_port(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")
