"""Fixtures of auth_service: its app in this process, clients with keys, and the gateway's side."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Executable

from auth_service.app import create_app, open_database
from auth_service.bootstrap import Secrets, ensure_secrets
from auth_service.keys import MasterKey, make_key_pair
from auth_service.settings import AuthSettings
from auth_service.store import Store
from servicekit.database import Database
from servicekit.identity import CALLER_HEADER
from tests.tokens import mint_token


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 1_790_000_000.25

    def __call__(self) -> float:
        return self.now


@dataclass
class Gateway:
    """Asks a running auth_service what the gateway asks."""

    app: FastAPI
    http: httpx.AsyncClient
    secrets: Secrets
    database: Database
    store: Store
    clock: Clock
    keys: dict[str, str] = field(default_factory=dict)

    async def introspect(
        self, credential: str, place: str = "header", *, want_session: bool = False
    ) -> dict[str, Any]:
        answer = await self.http.post(
            "/internal/introspect",
            json={
                "credential": credential,
                "presented_as": place,
                "address": "192.0.2.7",
                "want_session": want_session,
            },
            headers={"Authorization": f"Bearer {self.secrets.introspection_key}"},
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def user_info(self, jws: str) -> httpx.Response:
        return await self.http.get("/user/info", headers={CALLER_HEADER: jws})

    async def add_client(self, name: str, key_pair: tuple[str, bytes]) -> str:
        """A client with this key pair; its id."""
        number = await self.store.add_client(name=name, kind="host", description="")
        sealed = MasterKey(self.secrets.master_key).seal(key_pair[1], client_id=number)
        await self.store.set_client_keys(number, public_key=key_pair[0], private_key=sealed)
        self.keys[str(number)] = key_pair[0]
        return str(number)

    def mint(self, client_id: str, user_id: str = "u1", **claims: Any) -> str:
        key = claims.pop("public_key", self.keys.get(client_id, ""))
        claims.setdefault("timestamp", self.clock.now)
        return mint_token(client_id=client_id, public_key=key, user_id=user_id, **claims)

    async def execute(self, statement: Executable) -> list[Any]:
        async with self.database.transaction() as session:
            result = await (await session.connection()).execute(statement)
            return list(result) if result.returns_rows else []


Start = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture(scope="session")
def key_pairs() -> list[tuple[str, bytes]]:
    """Two pairs of the usual size."""
    return [make_key_pair(), make_key_pair()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Start:
    """Starts the service on this test's data folder, with settings."""

    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Gateway]:
        chosen = AuthSettings(chat2llm_data=tmp_path / "data", **settings)
        app = create_app(chosen, clock=clock)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
        database = open_database(chosen)
        async with (
            _lifespan(app),
            httpx.AsyncClient(transport=transport, base_url="http://auth") as http,
        ):
            yield Gateway(app, http, ensure_secrets(chosen), database, Store(database), clock)
        await database.close()

    return started


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[Gateway]:
    async with start() as running:
        yield running


@pytest.fixture
async def client_id(gateway: Gateway, key_pairs: list[tuple[str, bytes]]) -> str:
    """A host app of the gateway fixture's service."""
    return await gateway.add_client("intranet", key_pairs[0])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """In a task of its own, as a server runs it; fixtures end in another task than they began."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.router.lifespan_context(app):
            started.set()
            await ended.wait()

    running = asyncio.create_task(live())
    starting = asyncio.create_task(started.wait())
    await asyncio.wait({running, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    try:
        if not running.done():
            yield
    finally:
        ended.set()
        await running
