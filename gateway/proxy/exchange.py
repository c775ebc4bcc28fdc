"""One request on its way up and its answer on the way down: streamed, whole chunks, no hop left."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from math import inf

import aiohttp
from starlette.types import Receive, Send

from gateway.auth.admission import Admitted
from gateway.auth.inbound import Inbound
from gateway.errors import BodyTooLarge
from gateway.proxy.heads import headers_down
from gateway.routing import Route

# What says nothing about caches may be about somebody: none on the way keeps it.
_PERSONAL = (b"cache-control", b"private, no-cache")
_STREAM_HEADERS = {
    b"cache-control": b"no-cache, no-transform",
    b"x-accel-buffering": b"no",
}
_SMALL = 64 * 1024


class ClientLeft(Exception):
    """Nobody listens any more."""


class Exchange:
    """One request on its way up and its answer on the way down."""

    __slots__ = (
        "_body_read",
        "_kept",
        "_receive",
        "_send",
        "admitted",
        "client_left",
        "inbound",
        "route",
        "started",
        "too_large",
    )

    def __init__(
        self,
        route: Route,
        inbound: Inbound,
        admitted: Admitted | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self.route, self.inbound, self.admitted = route, inbound, admitted
        self._receive, self._send = receive, send
        self._body_read = asyncio.Event()
        self._kept: bytes | None = None
        self.started = self.client_left = self.too_large = False

    async def keep_body(self) -> None:
        """Wait for all of the body: who sends slowly takes up nothing of what others wait for.

        Raises ClientLeft and BodyTooLarge.
        """
        body = await self.request_body()
        if body is not None:
            self._kept = (
                body if isinstance(body, bytes) else b"".join([part async for part in body])
            )

    async def request_body(self) -> bytes | AsyncIterator[bytes] | None:
        """What came at once, or was kept, as bytes; anything longer as it comes.

        Raises ClientLeft and BodyTooLarge.
        """
        if self._kept is not None:
            return self._kept
        if not self.inbound.has_body:
            self._body_read.set()
            return None
        left = inf if self.route.body_mb is None else self.route.body_mb << 20
        if int(self.inbound.content_length or 0) > left:
            raise BodyTooLarge
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        first: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._body_read.set()
            return first
        return self._rest_of_body(first, left)

    async def _rest_of_body(self, first: bytes, left: float) -> AsyncIterator[bytes]:
        more, part = True, first
        while more:
            left -= len(part)
            if left < 0:
                self.too_large = True
                raise BodyTooLarge
            if part:
                yield part
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.client_left = True
                raise ClientLeft
            part, more = message.get("body", b""), message.get("more_body", False)
        if part:
            yield part
        self._body_read.set()

    async def watch_client(self) -> None:
        """Only one may read what the client sends: this waits for the body's end."""
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ClientLeft

    async def relay(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        bodiless = self.route.method == "HEAD" or status in (204, 304)
        headers, length, chunked = headers_down(response, keep_length=status not in (204, 304))
        if self.route.stream:
            headers = [pair for pair in headers if pair[0] not in _STREAM_HEADERS]
            headers += _STREAM_HEADERS.items()
        elif not any(name == b"cache-control" for name, _ in headers):
            headers.append(_PERSONAL)
        if self.admitted is not None and self.admitted.set_cookie:
            headers.append((b"set-cookie", self.admitted.set_cookie.encode()))
        if bodiless or 0 <= length <= _SMALL:
            body = b"" if bodiless else await response.read()
            await self._start(status, headers)
            await self._send({"type": "http.response.body", "body": body})
            return
        await self._start(status, headers)
        parts = _whole_chunks if self.route.stream and chunked else _as_it_comes
        async for part in parts(response.content):
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


async def _whole_chunks(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The upstream's HTTP chunks, one by one: the published H5 parses every read alone."""
    parts: list[bytes] = []
    async for data, ends in content.iter_chunks():
        parts.append(data)
        if ends:
            whole = b"".join(parts)
            parts.clear()
            if whole:
                yield whole


def _as_it_comes(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    return content.iter_any()
