"""Search engines and other services of the internet on one loopback socket, each as documented."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: Any


class WebServer:
    """Answers paths with what a test puts there: JSON, or a handler of its own."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[str, Any] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    def put(self, path: str, answer: Any) -> None:
        self._answers[path] = answer

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, shutdown_timeout=0, handler_cancellation=True, access_log=None
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        asked = Asked(request.path, dict(request.headers), dict(request.query), body)
        self.asked.append(asked)
        answer = self._answers.get(request.path)
        if callable(answer):
            response: web.StreamResponse = await answer(request)
            return response
        if answer is None:
            return web.json_response({"error": "no such path"}, status=404)
        return web.json_response(answer)
