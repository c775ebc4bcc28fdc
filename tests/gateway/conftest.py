"""The gateway over real sockets, in front of small stand-in services."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from gateway.app import create_app
from gateway.proxy.forwarder import Patience
from gateway.routing import Route
from gateway.settings import GatewaySettings
from tests.serving import served

# A test says itself which cookies it sends.
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=[])
_DEFAULT = Patience()
_AS_SERVED = {"server_header": False, "proxy_headers": False}  # by `python -m gateway`
KEY = "introspection-key-of-the-tests"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class StandIn:
    """A service: `answers[path]` are its handlers; anything else is echoed."""

    url: str = ""
    answers: dict[str, Handler] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        answer = self.answers.get(request.path)
        if answer is not None:
            return await answer(request)
        if request.path == "/readyz":
            return web.json_response({"status": "ok"})
        body = await request.read()
        headers = [[name, value] for name, value in request.headers.items()]
        return web.json_response(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": headers,
                "body": body.decode("latin-1"),
            }
        )


@dataclass
class Auth(StandIn):
    """auth_service's introspection, with people whom a test names."""

    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    origin_questions: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    pause: asyncio.Event | None = None
    status: int = 200

    def __post_init__(self) -> None:
        self.answers["/internal/introspect"] = self._introspect
        self.answers["/internal/origins"] = self._origins

    def knows(
        self,
        credential: str,
        user: str = "alice",
        *,
        session: str | None = None,
        scopes: tuple[str, ...] = ("chat", "kb:read"),
        client: str = "2",
        lasts: float = 3600,
        **more: Any,
    ) -> None:
        """`more` are fields of the answer that newer versions of auth_service have."""
        now = time.time()
        self.people[credential] = {
            "active": True,
            "caller": {
                "client_id": client,
                "user_id": user,
                "username": user.title(),
                "scopes": list(scopes),
            },
            "jws": f"signed-for-{user}",
            "jws_expires_at": now + 300,
            "expires_at": now + lasts,
            "session_token": session,
            "session_expires_at": now + 8 * 3600 if session else None,
        } | more
        if session and session not in self.people:
            self.knows(session, user, session=session, scopes=scopes, client=client, **more)

    def expires(self, credential: str) -> None:
        self.people[credential] = {"active": False, "reason": "expired"}

    def limits(self, credential: str, retry_after: int) -> None:
        self.people[credential] = {
            "active": False,
            "reason": "limited",
            "retry_after": retry_after,
        }

    async def was_asked(self, times: int) -> None:
        """Waits until it was asked so often; more often is a failure."""
        async with asyncio.timeout(10):
            while len(self.questions) < times:
                self.asked.clear()
                await self.asked.wait()
        assert len(self.questions) == times

    async def _origins(self, request: web.Request) -> web.StreamResponse:
        self.origin_questions += 1
        if self.status != 200 or request.headers["Authorization"] != f"Bearer {KEY}":
            return web.json_response({"detail": "no"}, status=401)
        return web.json_response({"origins": self.origins})

    async def _introspect(self, request: web.Request) -> web.StreamResponse:
        question = await request.json()
        self.questions.append(question)
        self.asked.set()
        if self.pause is not None:
            await self.pause.wait()
        if self.status != 200 or request.headers["Authorization"] != f"Bearer {KEY}":
            return web.json_response(
                {"detail": "no"}, status=self.status if self.status != 200 else 401
            )
        answer = self.people.get(question["credential"], {"active": False, "reason": "invalid"})
        if not question["want_session"] and answer["active"]:
            answer = answer | {"session_token": None, "session_expires_at": None}
        return web.json_response(answer)


def an_address_of(route: Route) -> str:
    """A path that the route answers: any value for each of its parameters."""
    return re.sub(r"\{(\w+)(?::path)?\}", r"a-\1", route.path)


@asynccontextmanager
async def listening(stand_in: StandIn) -> AsyncIterator[StandIn]:
    app = web.Application(client_max_size=2**30, handler_args={"auto_decompress": False})
    app.router.add_route("*", "/{path:.*}", stand_in.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    stand_in.url = f"http://127.0.0.1:{port}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """An upstream that writes bytes as a test says, after reading the request's head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@dataclass
class Suite:
    """The gateway's URL, a client of it and the stand-ins behind it."""

    url: str
    client: httpx.AsyncClient
    auth: Auth
    session: StandIn
    kb: StandIn
    chat: StandIn
    data: Path

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port


Start = Callable[..., Awaitable[Suite]]


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that is bound and listens to nobody."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway with the settings that a test needs."""
    async with AsyncExitStack() as running:

        async def start_suite(*, patience: Patience = _DEFAULT, **settings: Any) -> Suite:
            auth = Auth()
            session, kb, chat = StandIn(), StandIn(), StandIn()
            for stand_in in (auth, session, kb, chat):
                await running.enter_async_context(listening(stand_in))
            auth.knows("good", session="c2s-good")
            values = {
                "chat2llm_data": tmp_path,
                "auth_url": auth.url,
                "session_url": session.url,
                "kb_url": kb.url,
                "chat_url": chat.url,
                "introspection_key": KEY,
            }
            chosen = GatewaySettings.model_validate(values | settings)
            app = create_app(chosen, patience=patience)
            url = await running.enter_async_context(served(app, **_AS_SERVED))
            client = await running.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=20, cookies=CookieJar(_NO_COOKIES))
            )
            return Suite(url, client, auth, session, kb, chat, tmp_path)

        yield start_suite


@pytest.fixture
async def suite(start: Start) -> Suite:
    return await start()
