"""The composition root: the forward path in front, the pages behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from cachetools import TTLCache
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import mount_pages
from gateway.api.resources import Resources
from gateway.auth.admission import Admission
from gateway.auth.identities import Identities
from gateway.auth.peers import Peers
from gateway.clients import AuthClient
from gateway.edge import Cors, SecurityHeaders
from gateway.errors import MethodNotAllowed
from gateway.limits.counters import Counters
from gateway.limits.lanes import Lane, Lanes
from gateway.limits.limiter import Limiter
from gateway.origins import AllowedOrigins
from gateway.proxy.forwarder import Forwarder, Patience
from gateway.proxy.refusals import refuse
from gateway.routing import AUTH, Methods, RouteTable, upstream_path
from gateway.settings import GatewaySettings
from servicekit.app import Check, RequestIdMiddleware, build_app
from servicekit.errors import Unavailable
from servicekit.http import ServiceClient, open_session
from servicekit.logs import configure_logs

TITLE = "Chat2LLM API Server"
_LANDING = ("/sso", "/api/sso")
_SIGN_INS = (*_LANDING, "/ent-wechat-sso", "/api/ent-wechat-sso")


class Gateway:
    """Forwards what the table routes; everything else is a page, also under /api."""

    def __init__(self, pages: FastAPI) -> None:
        self._pages = pages
        self._table = RouteTable()
        self.forwarder: Forwarder  # both are set while the lifespan lasts
        self.origins: AllowedOrigins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        methods = self._table.find(path)
        if method == "HEAD" and path in _SIGN_INS:
            # Previews of a link ask so; what the link carries may be of use only once.
            await Response(headers={"Cache-Control": "no-store"})(scope, receive, send)
        elif methods is None or (path in _LANDING and _lands_here(method, scope["query_string"])):
            await self._show_page(scope, receive, send)
        else:
            await self._forward(methods, scope, receive, send)

    async def _forward(self, methods: Methods, scope: Scope, receive: Receive, send: Send) -> None:
        route = methods.get(scope["method"])
        if route is None:
            surface = next(iter(methods.values())).surface
            await refuse(MethodNotAllowed(methods), surface, scope, receive, send)
            return
        path = upstream_path(route, scope["raw_path"])
        if path is None:
            await self._show_page(scope, receive, send)
            return
        await self.forwarder.forward(route, path, scope, receive, send)

    async def _show_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            # The pages know no HEAD either; the server leaves the body away.
            scope = {**scope, "method": "GET"}
        if scope["path"].startswith("/api/"):
            scope["root_path"] = "/api"
        await self._pages(scope, receive, send)


def create_app(
    settings: GatewaySettings | None = None, *, patience: Patience | None = None
) -> ASGIApp:
    settings = settings or GatewaySettings.load()
    peers = Peers(settings.proxies)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("gateway", settings.log_level)
        async with open_session() as session:
            services = {
                name: ServiceClient(session, url, name=name)
                for name, url in settings.upstreams.items()
            }
            auth = AuthClient(
                services[AUTH],
                key=settings.introspection_key.get_secret_value(),
                key_file=settings.introspection_key_file,
            )
            origins = gateway.origins = AllowedOrigins(auth, frozenset(settings.origins))
            counters = Counters(settings.redis_url.get_secret_value())
            limiter = Limiter(settings.rates, counters)
            identities = Identities(auth, limiter, _lanes())
            admission = Admission(identities, origins.configured)
            app.state.ready_checks = [_ready(name, client) for name, client in services.items()]
            app.state.documents = TTLCache(len(services), ttl=10)
            app.state.resources = Resources(
                identities=identities,
                origins=origins,
                peers=peers,
                services=services,
                home="/home" if settings.h5_dist or settings.h5_address else "/welcome",
            )
            gateway.forwarder = Forwarder(
                session.request,
                settings.upstreams,
                admission,
                limiter,
                peers,
                patience or Patience(),
            )
            yield
            await identities.close()
            await origins.close()
            await counters.close()

    pages = build_app(title=TITLE, lifespan=lifespan)
    mount_pages(pages, settings.h5_dist)
    gateway = Gateway(pages)
    return SecurityHeaders(RequestIdMiddleware(Cors(gateway, lambda: gateway.origins)), peers)


def _lanes() -> Lanes:
    """auth_service answers some 100 questions/s: more than a moment's worth is not let wait."""
    return Lanes(
        known=Lane(places=32, waiting=1000),
        strangers=Lane(places=8, waiting=64),
    )


def _lands_here(method: str, query: bytes) -> bool:
    """A sign-in that brings its token; without one auth_service decides where to go."""
    if method == "POST":
        return True
    return method == "GET" and bool(parse_qs(query.decode("latin-1")).get("token"))


def _ready(name: str, client: ServiceClient) -> Check:
    async def check() -> None:
        status, _ = await client.call("GET", "/readyz", timeout=2)
        if status != 200:
            raise Unavailable(f"{name} is not ready ({status})")

    return check
