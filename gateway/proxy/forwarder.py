"""Forwarding: admit, ask the service of the route, relay, and watch who is still there."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from gateway.auth.admission import Admission, Admitted
from gateway.auth.inbound import Inbound
from gateway.auth.peers import Peers
from gateway.errors import BodyTooLarge, CredentialRefused, UpstreamTooSlow
from gateway.limits.lanes import Lane
from gateway.limits.limiter import Limiter
from gateway.proxy.exchange import ClientLeft, Exchange
from gateway.proxy.heads import headers_up
from gateway.proxy.refusals import refuse
from gateway.proxy.streams import OpenStreams
from gateway.routing import Route
from servicekit.errors import ServiceError, Unavailable

_OWN_HEADERS_ONLY = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_MOMENT = 0.02
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=None)

logger = logging.getLogger(__name__)


class IdentityGone(Exception):
    """The identity behind an open stream was taken back."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long a service may be silent, how often a stream's identity is asked again;
    and how many streams may be open at once.
    """

    silence: float = 60
    identity: float = 15
    streams: int = 4000


class Forwarder:
    """Admits a request and forwards it to the service of its route."""

    def __init__(
        self,
        request: Callable[..., Awaitable[aiohttp.ClientResponse]],
        upstreams: dict[str, str],
        admission: Admission,
        limiter: Limiter,
        peers: Peers,
        patience: Patience,
    ) -> None:
        self._request, self._upstreams = request, upstreams
        self._admission, self._limiter, self._peers = admission, limiter, peers
        self._patience = patience
        self._timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=patience.silence)
        self._sign_ins = Lane(places=64, waiting=256)
        self._streams = OpenStreams(patience.streams)
        self._urls: dict[str, URL] = {}

    async def forward(
        self, route: Route, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Ask the route's service for `path` of it."""
        try:
            inbound = Inbound(scope, self._peers)
            admitted = None if route.public else await self._admission.admit(route, inbound)
            if route.limit is not None:
                principal = admitted.principal if admitted else None
                await self._limiter.check(route.limit, principal, inbound.address)
            exchange = Exchange(route, inbound, admitted, receive, send)
            url = self._url(route, path, scope["query_string"])
            if route.stream:
                with self._streams.another():
                    refusal = await self._carry(exchange, url)
            elif route.public:
                await exchange.keep_body()
                async with self._sign_ins.place():
                    refusal = await self._carry(exchange, url)
            else:
                refusal = await self._carry(exchange, url)
            if refusal is not None and not exchange.started:
                raise refusal
            if route.session and admitted is not None:
                self._admission.forget(admitted)
        except ClientLeft:  # before there was anything to carry
            logger.info("%s: the client left", route.path)
        except ServiceError as error:
            await refuse(error, route.surface, scope, receive, send, chat=route.chat)

    async def _carry(self, exchange: Exchange, url: URL) -> ServiceError | None:
        """Run the exchange until its end, or until somebody has left."""
        refusal: ServiceError | None = None
        watches: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                # Most answers come sooner than anybody could leave.
                timer = asyncio.get_running_loop().call_later(
                    _MOMENT, self._watch, tasks, exchange, watches
                )
                try:
                    refusal = await self._run(exchange, url)
                finally:
                    timer.cancel()
                    for watch in watches:
                        watch.cancel()
        except* ClientLeft:
            logger.info("%s: the client left", exchange.route.path)
        except* IdentityGone:
            logger.warning("%s: ended, the identity was taken back", exchange.route.path)
            refusal = CredentialRefused("invalid")
        return refusal

    async def _run(self, exchange: Exchange, url: URL) -> ServiceError | None:
        """Ask and relay; an error that the client can still be told comes back."""
        route = exchange.route
        try:
            data = await exchange.request_body()
            response = await self._request(
                "GET" if route.method == "HEAD" else route.method,  # services know no HEAD
                url,
                headers=headers_up(
                    route,
                    exchange.inbound,
                    exchange.admitted,
                    streamed=isinstance(data, AsyncIterator),
                ),
                data=data,
                allow_redirects=False,
                timeout=_STREAM_TIMEOUT if route.stream else self._timeout,
                skip_auto_headers=_OWN_HEADERS_ONLY,
            )
            try:
                await exchange.relay(response)
            finally:
                response.close()  # nothing, when it was read to its end
        except BodyTooLarge as error:
            return error
        except (aiohttp.ClientError, TimeoutError) as error:
            if exchange.too_large:
                return BodyTooLarge()
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

    def _watch(
        self, tasks: asyncio.TaskGroup, exchange: Exchange, watches: list[asyncio.Task[None]]
    ) -> None:
        watches.append(tasks.create_task(exchange.watch_client()))
        if exchange.route.stream and exchange.admitted is not None:
            identity = self._watch_identity(exchange.admitted, exchange.inbound.address)
            watches.append(tasks.create_task(identity))

    async def _watch_identity(self, admitted: Admitted, address: str) -> None:
        while True:
            await asyncio.sleep(self._patience.identity)
            if not await self._admission.still_admitted(
                admitted, address, max_age=self._patience.identity / 2
            ):
                raise IdentityGone

    def _url(self, route: Route, path: str, query: bytes) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = URL(self._upstreams[route.upstream] + path, encoded=True)
            if path == route.path:  # there are only so many of these
                self._urls[path] = url
        if not query:
            return url
        text = query.decode() if query.isascii() else quote(query, safe="%&=+,;:@/?!$'()*[]~")
        return URL(f"{url}?{text}", encoded=True)
