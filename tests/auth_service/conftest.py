"""Fixtures of auth_service: its app in this process, clients with keys, and the gateway's side."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from fastapi import FastAPI
from sqlalchemy import Executable, insert, update

from auth_service.app import create_app
from auth_service.bootstrap import Secrets, ensure_secrets
from auth_service.keys import DEFAULT_BITS, MasterKey
from auth_service.models import CLIENTS, USERS
from auth_service.settings import AuthSettings
from auth_service.store.credentials import Store
from servicekit.database import Database, sqlite_url
from servicekit.identity import CALLER_HEADER
from tests.databases import Databases
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
        asked = {
            "credential": credential,
            "presented_as": place,
            "address": "192.0.2.7",  # for the limits to come
            "want_session": want_session,
        }
        answer = await self.http.post(
            "/internal/introspect",
            content=json.dumps(asked),  # ASCII, so that it may hold anything
            headers={
                "Authorization": f"Bearer {self.secrets.introspection_key}",
                "Content-Type": "application/json",
            },
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def user_info(self, jws: str) -> httpx.Response:
        return await self.http.get("/user/info", headers={CALLER_HEADER: jws})

    async def add_client(self, name: str, key_pair: tuple[str, bytes]) -> str:
        """A client with this key pair; its id."""
        number = await self.add_keyless_client(name)
        await self.replace_keys(number, key_pair)
        return number

    async def add_keyless_client(self, name: str) -> str:
        now = datetime.now(UTC).replace(tzinfo=None)
        values: dict[str, Any] = {"name": name, "kind": "host", "description": ""}
        values |= {"create_time": now, "enable": True, "allowed_origins": []}
        values |= {"embeddable": False, "limits": {}}
        added = insert(CLIENTS).values(values).returning(CLIENTS.c.id)
        [(number,)] = await self.execute(added)
        return str(number)

    async def replace_keys(self, client_id: str, key_pair: tuple[str, bytes]) -> None:
        number = int(client_id)
        sealed = MasterKey(self.secrets.master_key).seal(key_pair[1], client_id=number)
        await self.execute(update(CLIENTS).where(CLIENTS.c.id == number).values(private_key=sealed))
        self.keys[client_id] = key_pair[0]

    async def forget_keys(self) -> None:
        """Of all clients, so that another master key may take over."""
        await self.execute(update(CLIENTS).values(private_key=None))

    def mint(self, client_id: str, user_id: str = "u1", **claims: Any) -> str:
        key = claims.pop("public_key", self.keys.get(client_id, ""))
        claims.setdefault("timestamp", self.clock.now)
        return mint_token(client_id=client_id, public_key=key, user_id=user_id, **claims)

    def seal(self, client_id: str, plain: bytes) -> str:
        """A token around any plain text."""
        return seal(client_id, plain, self.keys[client_id])

    async def disable(self, client_id: str) -> None:
        await self.update_client(client_id, enable=False)

    async def update_client(self, client_id: str, **values: Any) -> None:
        await self.execute(update(CLIENTS).where(CLIENTS.c.id == int(client_id)).values(**values))

    async def update_user(self, user_id: str, **values: Any) -> None:
        await self.execute(update(USERS).where(USERS.c.user_id == user_id).values(**values))

    async def execute(self, statement: Executable) -> list[Any]:
        async with self.database.transaction() as session:
            result = await (await session.connection()).execute(statement)
            return list(result) if result.returns_rows else []


def seal(client_id: str, plain: bytes, public_key: str) -> str:
    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, RSAPublicKey)
    sealed = key.encrypt(plain, OAEP(MGF1(SHA256()), SHA256(), None))
    return wrap(f"{client_id}|{base64.b64encode(sealed).decode()}")


def wrap(outer: str) -> str:
    """The outer layer of a token."""
    return base64.b64encode(outer.encode()).decode()


REFUSED = {"active": False, "reason": "invalid"}
EXPIRED = {"active": False, "reason": "expired"}
Start = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture(scope="session")
def key_pairs() -> list[tuple[str, bytes]]:
    """Two pairs of the usual size."""
    return [make_key_pair(DEFAULT_BITS) for _ in range(2)]


def make_key_pair(bits: int) -> tuple[str, bytes]:
    """As operators' are, made faster."""
    key = generate_private_key(65537, bits)
    return _public_pem(key), _private_pem(key)


def _public_pem(key: RSAPrivateKey) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _private_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Path:
    return databases.migrated("auth")


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    """This test's data folder."""
    (tmp_path / "data" / "auth").mkdir(parents=True)
    shutil.copy(migrated, tmp_path / "data" / "auth")
    return tmp_path / "data"


@pytest.fixture
def start(data: Path, clock: Clock) -> Start:
    """Starts the service on this test's data folder, with settings."""

    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Gateway]:
        chosen = AuthSettings(chat2llm_data=data, **settings)
        app = create_app(chosen, clock=clock)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
        async with (
            _lifespan(app),
            _opened(chosen) as database,
            httpx.AsyncClient(transport=transport, base_url="http://auth") as http,
        ):
            yield Gateway(app, http, ensure_secrets(chosen), database, Store(database), clock)

    return started


@asynccontextmanager
async def _opened(settings: AuthSettings) -> AsyncIterator[Database]:
    """The app's database, for tests that look into it; the app has migrated it."""
    url = settings.auth_database_url or sqlite_url(settings.chat2llm_data / "auth" / "auth.db")
    database = Database(url, package="auth_service")
    yield database
    await database.close()


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
