"""What a person sees once all five services are ready: where to go, and how to get in."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from urllib.parse import quote

from auth_service import bootstrap
from auth_service.settings import AuthSettings

_SLOW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Banner:
    """Addresses and secrets; they go to the console and never into a log."""

    addresses: Mapping[str, tuple[str, int]]
    auth: AuthSettings
    first_start: bool

    def text(self, seconds: float) -> str:
        gateway = self.url("gateway")
        others = "  ".join(f"{name} {self.url(name)}" for name in self.addresses)
        return (
            f"\nChat2LLM is ready after {seconds:.1f} s. 已就绪\n\n"
            f"  Try it    体验      {self._demo_link(gateway)}\n"
            f"  API docs  接口文档  {gateway}/docs\n"
            f"  Services  各服务    {others}\n"
            f"  Admin key 管理密钥  {self._admin_key()}\n\n"
            "  Ctrl-C stops all five. 按 Ctrl-C 停止全部服务\n\n"
        )

    def url(self, name: str) -> str:
        host, port = self.address(name)
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def address(self, name: str) -> tuple[str, int]:
        """Where this machine reaches the service: the wildcard addresses mean the loopback."""
        host, port = self.addresses[name]
        with suppress(ValueError):  # a name is not an address
            if ip_address(host).is_unspecified:
                host = "::1" if ":" in host else "127.0.0.1"
        return host, port

    def _demo_link(self, gateway: str) -> str:
        if not self.auth.h5_demo_enabled:
            return "switched off by H5_DEMO_ENABLED 体验链接已关闭"
        secret = quote(bootstrap.demo_secret(self.auth), safe="")
        return f"{gateway}/api/sso?client=0&secret={secret}"

    def _admin_key(self) -> str:
        file = bootstrap.admin_key_file(self.auth)
        if self.auth.chat2llm_admin_key:
            return "as CHAT2LLM_ADMIN_KEY says 见配置 CHAT2LLM_ADMIN_KEY"
        if not self.first_start:
            return f"in {file} 见该文件"
        return f"{file.read_text().strip()}  (shown once; kept in {file} 仅显示一次)"


def announce_when_ready(banner: Banner) -> None:
    """Wait in a child process, which becomes the process manager's, and print the banner there."""
    sys.stdout.flush()
    started, parent = time.monotonic(), os.getpid()
    if os.fork():
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    waiting = list(banner.addresses)
    told = False
    while waiting and os.getppid() == parent:
        while waiting and _is_ready(*banner.address(waiting[0])):
            del waiting[0]
        if not told and time.monotonic() - started > _SLOW_SECONDS:
            told = True
            _print(f"==> Still waiting for 仍在等待: {', '.join(waiting)}\n")
        time.sleep(0.1)
    if not waiting:
        _print(banner.text(time.monotonic() - started))
    os._exit(0)


def _is_ready(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
