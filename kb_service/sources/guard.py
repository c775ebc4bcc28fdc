"""The way to the outside: no request leaves for an address that was not looked at.

The check is where connections are made, so it holds for each redirect, and what is connected to is
the address that was checked: a name that changes its address meanwhile changes nothing. TLS and the
Host header go by the name.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore
import httpx

from kb_service.sources import faults
from kb_service.sources.addresses import is_public

_PORTS = {"http": 80, "https": 443}
URL_MAX = 2_000
_HOST = re.compile(r"[\w.:-]+")


class Resolver(Protocol):
    async def addresses(self, host: str, port: int) -> list[str]:
        """All that a name stands for. Raises OSError."""


class SystemResolver:
    async def addresses(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Policy:
    """`allowed` are (host, port) that an operator named: these may be anywhere."""

    allowed: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Of `host:port` with commas between. Raises ValueError."""
        return cls(frozenset(_host_and_port(part) for part in text.split(",") if part.strip()))


class Guard:
    def __init__(self, policy: Policy, resolver: Resolver) -> None:
        self._policy, self._resolver = policy, resolver

    def check_url(self, url: httpx.URL) -> None:
        """What a URL itself says: its name is looked up when it is connected to. Raises Forbidden.

        Ports are those of the web, since others speak what a request may be mistaken for.
        """
        if url.scheme not in _PORTS:
            raise faults.bad_url("只支持 http 和 https", "only http and https are supported")
        if not _HOST.fullmatch(url.host):
            raise faults.bad_url("缺少有效的主机名", "it has no host that can be one")
        if url.userinfo:
            raise faults.bad_url("不能包含用户名或密码", "it must not hold a user name or password")
        if len(str(url)) > URL_MAX:
            raise faults.bad_url(f"超过 {URL_MAX} 字符", f"it is longer than {URL_MAX}")
        if port_of(url) not in _PORTS.values() and not self._is_allowed(url.host, port_of(url)):
            raise faults.bad_url(
                "只支持 80 和 443 端口，其他端口须由管理员在 CRAWL_ALLOWED_HOSTS 中列出",
                "only ports 80 and 443 are supported unless CRAWL_ALLOWED_HOSTS names the host",
            )

    async def addresses(self, host: str, port: int) -> list[str]:
        """Where to connect. Raises Forbidden, FetchFault.

        One bad address among good ones is no accident, so it spoils them all.
        """
        try:
            found = await self._resolver.addresses(host, port)
        except (OSError, UnicodeError):  # the second: labels that cannot be a name
            raise faults.unreachable(host) from None
        if not self._is_allowed(host, port) and not all(map(is_public, found)):
            raise faults.not_allowed(host)
        return found

    def _is_allowed(self, host: str, port: int) -> bool:
        return (host.lower().rstrip("."), port) in self._policy.allowed


class GuardedTransport(httpx.AsyncBaseTransport):
    """What an httpx client sends its requests with; the guard's faults pass through it."""

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=20,
            keepalive_expiry=15,
            network_backend=_GuardedBackend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(request.url)
        url = request.url
        wanted = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx(request):
            answer = await self._pool.handle_async_request(wanted)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer, request),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, guard: Guard) -> None:
        self._guard, self._inner = guard, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._guard.addresses(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request) -> None:
        self._answer, self._request = answer, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for data in self._answer.aiter_stream():
                yield data

    async def aclose(self) -> None:
        await self._answer.aclose()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """The errors that callers of httpx know."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error), request=request) from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.NetworkError(str(error), request=request) from None


def port_of(url: httpx.URL) -> int:
    return url.port or _PORTS.get(url.scheme, 0)


def _host_and_port(text: str) -> tuple[str, int]:
    try:
        url = httpx.URL(f"http://{text.strip()}")
        host = url.host.lower().rstrip(".")
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    explicit = text.strip().rpartition(":")[2]
    if not host or not explicit.isdecimal() or url.path not in {"", "/"} or url.userinfo:
        raise ValueError(f"{text.strip()!r} is not host:port")
    return host, int(explicit)
