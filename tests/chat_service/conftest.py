"""chat_service on a real socket, between stand-ins for its neighbours."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chat_service.app import create_app
from chat_service.settings import ChatSettings
from servicekit.identity import CALLER_HEADER, Caller, sign_caller
from tests.chat_service.standins import KbStandIn, SessionStandIn
from tests.databases import Databases
from tests.fakes.vendor import VendorServer
from tests.serving import served

SIGNING_KEY = Ed25519PrivateKey.generate()
SESSION_ID = "5" * 32


def caller_header(*scopes: str, client_id: str = "7") -> dict[str, str]:
    caller = Caller(client_id, "u1", "Ann", scopes or ("chat", "kb:read"))
    return {CALLER_HEADER: sign_caller(caller, SIGNING_KEY, expires_at=time.time() + 86_400)}


def write_public_key(data: Path) -> None:
    (data / "keys").mkdir(parents=True, exist_ok=True)
    public = SIGNING_KEY.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (data / "keys" / "caller.pub").write_bytes(pem)


class Chat:
    """A client of one running chat_service."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.client.post(path, json=body, **options)

    async def ask(self, query: str = "你好", **body: Any) -> list[dict[str, Any]]:
        """Objects of a streamed answer, checked write by write as the published client does."""
        kb = "knowledge_base_name" in body
        path = "/chat/knowledge_base_chat" if kb else "/chat/chat"
        asked = {"query": query, "session_id": SESSION_ID, "stream": True} | body
        objects: list[dict[str, Any]] = []
        async with self.client.stream("POST", path, json=asked) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            async for read in answer.aiter_raw():
                objects += parse_read(read)
        return objects

    async def said(self, query: str = "你好", **body: Any) -> str:
        """The text of a streamed answer."""
        return "".join(o.get("text", o.get("answer", "")) for o in await self.ask(query, **body))


def parse_read(read: bytes) -> list[dict[str, Any]]:
    """What the published client makes of one network read."""
    text = read.decode()
    objects: list[dict[str, Any]] = json.loads("[" + text.replace("}{", "},{") + "]")
    return objects


async def until(reached: Callable[[], bool], within: float = 20) -> None:
    """Wait for a state that other tasks bring about."""
    async with asyncio.timeout(within):
        while not reached():  # noqa: ASYNC110 - what is waited for may be in another process
            await asyncio.sleep(0.02)


@pytest.fixture
async def sessions() -> AsyncIterator[SessionStandIn]:
    async with SessionStandIn() as standin:
        yield standin


@pytest.fixture
async def kb() -> AsyncIterator[KbStandIn]:
    async with KbStandIn() as standin:
        yield standin


@pytest.fixture
async def vendor() -> AsyncIterator[VendorServer]:
    async with VendorServer() as server:
        yield server


StartChat = Callable[..., Awaitable[Chat]]


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Path:
    return databases.migrated("chat")


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    """A data folder as chat_service needs it."""
    write_public_key(tmp_path)
    (tmp_path / "chat").mkdir()
    shutil.copy(migrated, tmp_path / "chat" / "chat.db")
    return tmp_path


@pytest.fixture
async def start_chat(
    data: Path, sessions: SessionStandIn, kb: KbStandIn
) -> AsyncIterator[StartChat]:
    """Starts chat_service with these settings, by default offline."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Chat:
            values: dict[str, Any] = {
                "chat2llm_data": data,
                "session_url": sessions.url,
                "kb_url": kb.url,
                "log_level": "WARNING",
            }
            app = create_app(ChatSettings(**values | settings))
            url = await stack.enter_async_context(served(app))
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, headers=caller_header(), timeout=30)
            )
            return Chat(client)

        yield start


@pytest.fixture
async def chat(start_chat: StartChat, vendor: VendorServer) -> Chat:
    """chat_service whose default model is the scripted vendor."""
    return await start_chat(
        custom_api_base_url=vendor.base_url,
        custom_api_api_key="k-very-secret-key",
        llm_first_token_timeout=2,
        llm_token_timeout=1,
    )
