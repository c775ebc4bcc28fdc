"""Small stand-ins for session_service and kb_service that speak their internal API."""

import secrets
import socket
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from servicekit.identity import CALLER_HEADER


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class StandIn:
    """A loopback server that can go away and come back on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._runner: web.AppRunner | None = None
        self.calls: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    async def start(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def problem(status: int, code: str, detail: str) -> web.Response:
    return web.json_response({"code": code, "detail": detail, "status": status}, status=status)


@dataclass
class StoredTurn:
    id: str
    session_id: str | None
    chat_type: str
    query: str
    capability: str
    response: str = ""
    docs: list[str] = field(default_factory=list)
    state: str = "asking"
    finishes: int = 0


class SessionStandIn(StandIn):
    """Stores turns in memory; the id `foreign` belongs to somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, StoredTurn] = {}
        self.failing_finishes = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/internal/turns", self._begin),
            web.post("/internal/turns/{turn}/finish", self._finish),
            web.get("/internal/sessions/{session}/turns", self._recent),
        ]

    @property
    def turn(self) -> StoredTurn:
        """The only turn."""
        (turn,) = self.turns.values()
        return turn

    async def _begin(self, request: web.Request) -> web.Response:
        assert request.headers[CALLER_HEADER]
        asked = await request.json()
        self.calls.append("begin")
        if asked["turn_id"] == "foreign":
            return problem(403, "refused", "无权操作!")
        turn_id = asked["turn_id"] or secrets.token_hex(16)
        turn = self.turns.get(turn_id)
        if turn is None:
            turn = StoredTurn(turn_id, asked["session_id"], asked["chat_type"], asked["query"], "")
            self.turns[turn_id] = turn
        turn.capability, turn.state = secrets.token_urlsafe(16), "asking"
        return web.json_response({"turn_id": turn_id, "capability": turn.capability})

    async def _finish(self, request: web.Request) -> web.Response:
        self.calls.append("finish")
        if self.failing_finishes:
            self.failing_finishes -= 1
            return problem(503, "unavailable", "busy")
        turn = self.turns.get(request.match_info["turn"])
        if turn is None:
            return problem(404, "not_found", "no such turn")
        if request.headers["Authorization"] != f"Bearer {turn.capability}":
            return problem(401, "unauthorized", "not your turn")
        said: dict[str, Any] = await request.json()
        turn.response, turn.docs, turn.state = said["response"], said["docs"], said["state"]
        turn.finishes += 1
        return web.Response(status=204)

    async def _recent(self, request: web.Request) -> web.Response:
        self.calls.append("recent")
        found = [t for t in self.turns.values() if t.session_id == request.match_info["session"]]
        shown = [
            {
                "turn_id": t.id,
                "query": t.query,
                "response": t.response,
                "docs": t.docs,
                "state": t.state,
                "create_time": "2026-11-22T05:42:39",
            }
            for t in found[-int(request.query["limit"]) :]
        ]
        return web.json_response(shown)


class KbStandIn(StandIn):
    """One knowledge base, `kb1`, whose passages a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: list[dict[str, Any]] = []
        self.searches: list[dict[str, Any]] = []
        self.search_status = 200
        self.names = {"kb1"}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/internal/knowledge_bases/{name}", self._find),
            web.post("/internal/search", self._search),
            web.post("/internal/read", self._read),
            web.get("/knowledge_base/list_knowledge_bases_v2", self._list),
        ]

    def hold(self, *contents: str, file_name: str = "手册 (1).md") -> None:
        self.passages = [
            {
                "chunk_id": str(n),
                "file_name": file_name,
                "content": content,
                "score": 0.5,
                "metadata": {},
            }
            for n, content in enumerate(contents)
        ]

    async def _find(self, request: web.Request) -> web.Response:
        assert request.headers[CALLER_HEADER]
        name = request.match_info["name"]
        if name not in self.names:
            return problem(404, "not_found", f"未找到知识库 {name}")
        return web.json_response({"knowledge_base_name": name, "kb_zh_name": "手册"})

    async def _search(self, request: web.Request) -> web.Response:
        if self.search_status != 200:
            return problem(self.search_status, "unavailable", "away")
        self.searches.append(await request.json())
        return web.json_response({"passages": self.passages})

    async def _read(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["file_name"] not in {passage["file_name"] for passage in self.passages}:
            return problem(404, "not_found", f"未找到文件 {asked['file_name']}")
        text = self.passages[asked["start"]]["content"]
        after = asked["start"] + 1
        return web.json_response(
            {"text": text, "next": after if after < len(self.passages) else None}
        )

    async def _list(self, request: web.Request) -> web.Response:
        assert request.headers[CALLER_HEADER]
        kb = {"kb_name": "kb1", "kb_zh_name": "手册", "kb_info": "员工手册", "file_count": 1}
        return web.json_response({"code": 200, "msg": "success", "data": [kb]})
