"""The real service over HTTP, with callers that a test key vouches for and a clock of our own."""

import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from session_service.app import create_app
from session_service.settings import SessionSettings
from tests.databases import Databases
from tests.serving import Issuer, served


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass(frozen=True, slots=True)
class Turn:
    """A begun turn: where its answer goes and with what right."""

    id: str
    capability: str


class User:
    """A caller's view of the service."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def post(self, path: str, body: Any) -> Any:
        """`data` of a successful envelope."""
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["code"] == 200, answer.text
        return answer.json()["data"]

    async def sessions(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/session/list")
        assert answer.json()["code"] == 200, answer.text
        listed: list[dict[str, Any]] = answer.json()["data"]
        return listed

    async def save(self, session_id: str, **body: Any) -> None:
        body = {"session_name": "a name", "mode": "LLM", "param": {}} | body
        assert await self.post("/session/save", body | {"session_id": session_id}) is True

    async def history(self, session_id: str, num: int = 100, **body: Any) -> list[dict[str, Any]]:
        body |= {"session_id": session_id, "num": num}
        page: list[dict[str, Any]] = await self.post("/history/latest", body)
        return page

    async def all_history(self, session_id: str, first: int, more: int) -> list[str]:
        """Ids, newest first, as somebody sees them who goes on loading more."""
        page = await self.history(session_id, first)
        shown = [item["id"] for item in page]
        while page:
            page = await self.history(session_id, more, chat_id=shown[-1])
            shown += [item["id"] for item in page]
            assert len(shown) == len(set(shown)), "a turn was shown twice"
        return shown

    async def recent(self, session_id: str, **query: int) -> list[dict[str, Any]]:
        answer = await self.http.get(f"/internal/sessions/{session_id}/turns", params=query)
        assert answer.status_code == 200, answer.text
        turns: list[dict[str, Any]] = answer.json()
        return turns

    async def try_begin(
        self,
        query: str = "a question",
        *,
        session_id: str | None = None,
        turn_id: str | None = None,
        chat_type: str = "llm_chat",
        knowledge_base: str | None = None,
    ) -> httpx.Response:
        body = {"session_id": session_id, "turn_id": turn_id, "chat_type": chat_type}
        body |= {"knowledge_base": knowledge_base}
        return await self.http.post("/internal/turns", json=body | {"query": query})

    async def begin(self, query: str = "a question", **body: Any) -> Turn:
        answer = await self.try_begin(query, **body)
        assert answer.status_code == 200, answer.text
        return Turn(answer.json()["turn_id"], answer.json()["capability"])

    async def ask(self, query: str, response: str, session_id: str, **body: Any) -> Turn:
        """A whole turn."""
        turn = await self.begin(query, session_id=session_id, **body)
        assert (await finish(self.http, turn, response)).status_code == 204
        return turn


async def finish(
    http: httpx.AsyncClient,
    turn: Turn,
    response: str = "an answer",
    *,
    docs: list[str] | None = None,
    state: str = "done",
) -> httpx.Response:
    return await http.post(
        f"/internal/turns/{turn.id}/finish",
        json={"response": response, "docs": docs or [], "state": state},
        headers={"Authorization": f"Bearer {turn.capability}"},
    )


UserOf = Callable[..., User]


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Path:
    return databases.migrated("session")


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def data(tmp_path: Path, issuer: Issuer, migrated: Path) -> Path:
    (tmp_path / "session").mkdir()
    shutil.copy(migrated, tmp_path / "session")
    return issuer.trusted_by(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def url(data: Path, clock: Clock) -> AsyncIterator[str]:
    async with served(create_app(SessionSettings(chat2llm_data=data), clock)) as address:
        yield address


@pytest.fixture
async def user(url: str, issuer: Issuer) -> AsyncIterator[UserOf]:
    """Makes callers: `user("li")`, `user("li", client_id="9")`."""
    async with AsyncExitStack() as opened:

        def make(user_id: str, **caller: Any) -> User:
            http = httpx.AsyncClient(base_url=url, headers=issuer.headers(user_id, **caller))
            opened.push_async_callback(http.aclose)
            return User(http)

        yield make


@pytest.fixture
def li(user: UserOf) -> User:
    return user("li")


@pytest.fixture
def wang(user: UserOf) -> User:
    return user("wang")


@pytest.fixture
async def stranger(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a caller header."""
    async with httpx.AsyncClient(base_url=url) as http:
        yield http


@pytest.fixture
def session_id() -> str:
    return uuid.uuid4().hex
