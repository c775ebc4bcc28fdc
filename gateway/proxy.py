"""Bytes forwarded: streamed up, whole chunks down, the upstream let go when the client leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from urllib.parse import quote

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from gateway.auth import Admission, Admitted
from gateway.errors import CredentialRefused, UpstreamTooSlow, render
from gateway.inbound import COOKIE_NAME, Inbound, Peers
from gateway.routing import Route
from servicekit.errors import ServiceError, Unavailable
from servicekit.http import REQUEST_ID_HEADER
from servicekit.identity import CALLER_HEADER
from servicekit.logs import request_id

_NOT_PASSED_DOWN = frozenset(
    (
        b"connection",
        b"date",  # the server in front of the client writes its own
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    )
)
_STREAM_HEADERS = {
    b"cache-control": b"no-cache, no-transform",
    b"x-accel-buffering": b"no",
}
_OWN_HEADERS_ONLY = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_SMALL = 64 * 1024
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=None)
_ASK_AGAIN = 15.0

logger = logging.getLogger(__name__)


class ClientLeft(Exception):
    """Nobody listens any more."""


class IdentityGone(Exception):
    """The identity behind an open stream was taken back."""


class Forwarder:
    """Admits a request and forwards it to the service of its route."""

    def __init__(
        self,
        request: Callable[..., Awaitable[aiohttp.ClientResponse]],
        upstreams: dict[str, str],
        admission: Admission,
        peers: Peers,
        *,
        read_timeout: float,
    ) -> None:
        self._request, self._upstreams = request, upstreams
        self._admission, self._peers = admission, peers
        self._timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=read_timeout)
        self._urls: dict[str, URL] = {}

    async def forward(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            inbound = Inbound(scope, self._peers)
            admitted = None if route.public else await self._admission.admit(route, inbound)
        except ServiceError as error:
            await render(error, chat=route.chat)(scope, receive, send)
            return
        exchange = _Exchange(route, inbound, admitted, receive, send)
        refusal: ServiceError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                watches = [tasks.create_task(exchange.watch_client())]
                if route.stream and admitted is not None:
                    watches.append(tasks.create_task(self._watch_identity(admitted, inbound)))
                refusal = await self._run(exchange, scope["query_string"])
                for watch in watches:
                    watch.cancel()
        except* ClientLeft:
            logger.info("%s: the client left", route.path)
        except* IdentityGone:
            logger.warning("%s: ended, the identity was taken back", route.path)
            refusal = CredentialRefused("invalid")
        if refusal is not None and not exchange.started:
            await render(refusal, chat=route.chat)(scope, receive, send)

    async def _run(self, exchange: "_Exchange", query: bytes) -> ServiceError | None:
        """Ask and relay; an error that the client can still be told comes back."""
        route = exchange.route
        try:
            data = await exchange.request_body()
            response = await self._request(
                route.method,
                self._url(route, query),
                headers=exchange.request_headers(streamed=isinstance(data, AsyncIterator)),
                data=data,
                allow_redirects=False,
                timeout=_STREAM_TIMEOUT if route.stream else self._timeout,
                skip_auto_headers=_OWN_HEADERS_ONLY,
            )
            try:
                await exchange.relay(response)
            finally:
                response.close()  # nothing, when it was read to its end
        except (aiohttp.ClientError, TimeoutError) as error:
            # An answer that has begun stays unfinished, so the server closes the connection.
            logger.warning("%s %s failed: %r", route.upstream, route.path, error)
            if exchange.client_left:
                return None
            if isinstance(error, TimeoutError) and not isinstance(
                error, aiohttp.ConnectionTimeoutError
            ):
                return UpstreamTooSlow(route.upstream)
            text = f"{route.upstream} is not available. 服务暂不可用，请稍后再试。"
            return Unavailable(text, retry_after=2)
        return None

    async def _watch_identity(self, admitted: Admitted, inbound: Inbound) -> None:
        while True:
            await asyncio.sleep(_ASK_AGAIN)
            if not await self._admission.still_admitted(
                admitted, inbound.address, max_age=_ASK_AGAIN
            ):
                raise IdentityGone

    def _url(self, route: Route, query: bytes) -> URL:
        url = self._urls.get(route.path)
        if url is None:
            url = self._urls[route.path] = URL(
                self._upstreams[route.upstream] + route.path, encoded=True
            )
        if not query:
            return url
        text = query.decode() if query.isascii() else quote(query, safe="%&=+,;:@/?!$'()*[]~")
        return URL(f"{url}?{text}", encoded=True)


class _Exchange:
    """One request on its way up and its answer on the way down."""

    __slots__ = (
        "_admitted",
        "_body_read",
        "_inbound",
        "_receive",
        "_send",
        "client_left",
        "route",
        "started",
    )

    def __init__(
        self,
        route: Route,
        inbound: Inbound,
        admitted: Admitted | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self.route, self._inbound, self._admitted = route, inbound, admitted
        self._receive, self._send = receive, send
        self._body_read = asyncio.Event()
        self.started = self.client_left = False

    def request_headers(self, *, streamed: bool) -> list[tuple[str, str]]:
        inbound = self._inbound
        headers = inbound.headers
        headers += (
            (REQUEST_ID_HEADER, request_id.get()),
            ("X-Forwarded-For", inbound.address),
            ("X-Forwarded-Proto", inbound.scheme),
            ("X-Forwarded-Host", inbound.host),
        )
        if self._admitted is not None:
            headers.append((CALLER_HEADER, self._admitted.principal.header))
        elif inbound.cookie:  # a sign-in goes on with the user that this browser already has
            headers.append(("Cookie", f"{COOKIE_NAME}={inbound.cookie}"))
        if streamed and inbound.content_length is not None:
            headers.append(("Content-Length", inbound.content_length))
        return headers

    async def request_body(self) -> bytes | AsyncIterator[bytes] | None:
        """What came at once as bytes, anything longer as it comes. Raises ClientLeft."""
        if not self._inbound.has_body:
            self._body_read.set()
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        first: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._body_read.set()
            return first
        return self._rest_of_body(first)

    async def _rest_of_body(self, first: bytes) -> AsyncIterator[bytes]:
        more, part = True, first
        while more:
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
        headers, length, chunked = _headers_down(response, keep_length=status not in (204, 304))
        if self.route.stream:
            headers = [pair for pair in headers if pair[0] not in _STREAM_HEADERS]
            headers += _STREAM_HEADERS.items()
        if self._admitted is not None and self._admitted.set_cookie:
            headers.append((b"set-cookie", self._admitted.set_cookie.encode()))
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


def _headers_down(
    response: aiohttp.ClientResponse, *, keep_length: bool
) -> tuple[list[tuple[bytes, bytes]], int, bool]:
    """The headers for the client, the body's length (-1: unknown) and whether it is chunked."""
    headers, length, chunked, named = [], -1, False, b""
    for raw_name, value in response.raw_headers:
        name = raw_name.lower()
        if name == b"content-length":
            length = int(value)
            if not keep_length:
                continue
        elif name in _NOT_PASSED_DOWN:
            chunked = chunked or name == b"transfer-encoding"
            named = named + b"," + value if name == b"connection" else named
            continue
        headers.append((name, value))
    if named:
        dropped = {token.strip().lower() for token in named.split(b",")}
        headers = [pair for pair in headers if pair[0] not in dropped]
    return headers, length, chunked


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
