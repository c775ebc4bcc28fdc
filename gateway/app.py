"""The composition root: the forward path in front, the pages behind it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from cachetools import TTLCache
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import mount_pages
from gateway.api.resources import Resources
from gateway.auth.admission import Admission
from gateway.auth.identities import Identities
from gateway.auth.inbound import Peers
from gateway.clients import AuthClient
from gateway.proxy.forwarder import Forwarder, Patience
from gateway.routing import AUTH, Route, lookup_table
from gateway.settings import GatewaySettings
from servicekit.app import Check, RequestIdMiddleware, build_app
from servicekit.errors import Unavailable
from servicekit.http import REQUEST_ID_HEADER, ServiceClient, open_session
from servicekit.logs import configure_logs

TITLE = "Chat2LLM API Server"
_SIGN_IN = ("/sso", "/api/sso")


class Gateway:
    """Forwards what the table routes; everything else is a page, also under /api."""

    def __init__(self, pages: FastAPI) -> None:
        self._pages = pages
        self._table = lookup_table()
        self.forwarder: Forwarder  # set while the lifespan lasts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        methods = self._table.get(path)
        if method == "HEAD" and (methods is None or path in _SIGN_IN):
            # The pages know no HEAD either; the server leaves the body away.
            method = "GET"
            scope = {**scope, "method": method}
        if methods is None or (path in _SIGN_IN and _lands_here(method, scope["query_string"])):
            if path.startswith("/api/"):
                scope["root_path"] = "/api"
            await self._pages(scope, receive, send)
        elif method in methods:
            await self.forwarder.forward(methods[method], scope, receive, send)
        else:
            await _not_allowed(methods)(scope, receive, send)


def create_app(
    settings: GatewaySettings | None = None, *, patience: Patience | None = None
) -> ASGIApp:
    settings = settings or GatewaySettings.load()
    origins = frozenset(settings.origins)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("gateway", settings.log_level)
        peers = Peers(settings.proxies)
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
            identities = Identities(auth)
            admission = Admission(identities, origins)
            app.state.ready_checks = [_ready(name, client) for name, client in services.items()]
            app.state.documents = TTLCache(len(services), ttl=10)
            app.state.resources = Resources(
                auth=auth,
                identities=identities,
                peers=peers,
                services=services,
                home="/home" if settings.h5_dist or settings.h5_address else "/welcome",
            )
            gateway.forwarder = Forwarder(
                session.request, settings.upstreams, admission, peers, patience or Patience()
            )
            yield
            await identities.close()

    pages = build_app(title=TITLE, lifespan=lifespan)
    mount_pages(pages, settings.h5_dist)
    gateway = Gateway(pages)
    return RequestIdMiddleware(_with_cors(gateway, origins) if origins else gateway)


def _with_cors(app: ASGIApp, origins: frozenset[str]) -> ASGIApp:
    """Outside everything, so that refusals carry the headers too and pages can read them."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("Api-Token", "Authorization", "Content-Type", REQUEST_ID_HEADER),
        allow_credentials=True,
        expose_headers=(REQUEST_ID_HEADER, "Retry-After", "Content-Disposition"),
    )


def _lands_here(method: str, query: bytes) -> bool:
    """A sign-in that brings its token; without one auth_service decides where to go."""
    if method == "POST":
        return True
    return method == "GET" and bool(parse_qs(query.decode("latin-1")).get("token"))


def _not_allowed(methods: Mapping[str, Route]) -> JSONResponse:
    return JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": ", ".join(methods)})


def _ready(name: str, client: ServiceClient) -> Check:
    async def check() -> None:
        status, _ = await client.call("GET", "/readyz", timeout=2)
        if status != 200:
            raise Unavailable(f"{name} is not ready ({status})")

    return check
