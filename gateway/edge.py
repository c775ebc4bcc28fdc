"""What every answer carries, whoever made it: security headers, and CORS for allowed origins."""

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.peers import Peers
from gateway.origins import AllowedOrigins
from servicekit.http import REQUEST_ID_HEADER

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Origin"),  # a cache must not give one origin's answer to another
)
_OWN = frozenset(name for name, _ in _ALWAYS[:1])
_OVER_TLS = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """nosniff everywhere, and HSTS where the browser came by HTTPS."""

    def __init__(self, app: ASGIApp, peers: Peers) -> None:
        self._app, self._peers = app, peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0] not in _OWN]
                headers += _ALWAYS
                if self._peers.scheme_of(scope) == "https":
                    headers.append(_OVER_TLS)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Cors(CORSMiddleware):
    """Starlette's, for origins that change while we run."""

    def __init__(self, app: ASGIApp, origins: Callable[[], AllowedOrigins]) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Api-Token", "Authorization", "Content-Type", REQUEST_ID_HEADER),
            allow_credentials=True,
            expose_headers=(
                REQUEST_ID_HEADER,
                "Retry-After",
                "RateLimit-Limit",
                "RateLimit-Remaining",
                "RateLimit-Reset",
                "Content-Disposition",
            ),
        )
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = None
        if scope["type"] == "http":
            origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is None:
            await self.app(scope, receive, send)
            return
        text = origin.decode("latin-1")
        if text not in self._origins():
            await self._origins().settled()
        if text in self._origins() or scope["method"] == "OPTIONS":
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return origin in self._origins()
