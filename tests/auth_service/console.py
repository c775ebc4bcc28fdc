"""The management routes as the gateway forwards an operator's requests to them."""

import json
import time
from typing import Any

import httpx

from servicekit.identity import CALLER_HEADER, Caller, sign_caller
from tests.auth_service.conftest import Gateway

OPERATOR = Caller("admin", "root", "root", ("chat", "kb:read", "kb:write", "admin"))
ADDRESS = "192.0.2.44"


class Console:
    """Sends an operator's requests."""

    def __init__(self, gateway: Gateway, caller: Caller = OPERATOR) -> None:
        jws = sign_caller(caller, gateway.secrets.caller_key, expires_at=time.time() + 300)
        self._headers = {CALLER_HEADER: jws, "X-Forwarded-For": ADDRESS}
        self._http = gateway.http

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        sent = {"Content-Type": "application/json"} | self._headers | headers
        content = None if body is None else json.dumps(body)  # ASCII, so it may hold anything
        return await self._http.request(method, f"/admin{path}", content=content, headers=sent)

    async def get(self, path: str) -> Any:
        """The body of a good answer."""
        answer = await self.send("GET", path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.json()

    async def do(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The body of an answer with this status; problems are RFC 9457."""
        answer = await self.send(method, path, body)
        assert answer.status_code == status, answer.text
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == status
        return answer.json() if answer.content else None

    async def add_client(self, name: str = "intranet", **values: Any) -> str:
        """A client's id."""
        added = await self.do("POST", "/clients", {"name": name} | values, status=201)
        return str(added["client_id"])

    async def audit(self, **wanted: str) -> list[dict[str, Any]]:
        """Entries, newest first."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        items: list[dict[str, Any]] = (await self.get(f"/audit?page_size=200&{query}"))["items"]
        return items
