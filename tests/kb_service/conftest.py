"""A real kb_service: over ASGI for most tests, on a socket where streams or bodies matter."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from kb_service.app import create_app
from kb_service.settings import KbSettings
from servicekit.identity import CALLER_HEADER, Caller, sign_caller
from tests.databases import Databases
from tests.parsers import PARSERS

KEY = Ed25519PrivateKey.generate()


def caller_header(
    client_id: str = "admin",
    scopes: tuple[str, ...] = ("kb:read", "kb:write", "admin"),
    *,
    groups: tuple[str, ...] = (),
    confined_to: tuple[str, ...] | None = None,
) -> dict[str, str]:
    caller = Caller(client_id, "u1", "u1", scopes, groups, confined_to)
    return {CALLER_HEADER: sign_caller(caller, KEY, expires_at=time.time() + 86_400)}


ADMIN = caller_header()
READER = caller_header("0", ("chat", "kb:read"))
OWNER = caller_header("7", ("kb:read", "kb:write"))
STRANGER = caller_header("8", ("kb:read", "kb:write"))


@dataclass(frozen=True)
class Kb:
    """Calls of the old wire, as the administrator unless said otherwise."""

    http: httpx.AsyncClient

    async def get(self, path: str, who: dict[str, str] = ADMIN, /, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params, headers=who)

    async def post(self, path: str, body: Any, who: dict[str, str] = ADMIN) -> httpx.Response:
        return await self.http.post(path, json=body, headers=who)

    async def create(self, name: str = "kb1", who: dict[str, str] = ADMIN) -> None:
        body = {"knowledge_base_name": name, "kb_zh_name": "库一", "kb_info": "说明"}
        answer = await self.post("/knowledge_base/create_knowledge_base", body, who)
        assert answer.json() == {"code": 200, "msg": f"已新增知识库 {name}", "data": None}

    async def upload(
        self,
        *files: tuple[str, bytes],
        kb: str = "kb1",
        who: dict[str, str] = ADMIN,
        **fields: str,
    ) -> httpx.Response:
        return await self.http.post(
            "/knowledge_base/upload_docs",
            data={"knowledge_base_name": kb} | fields,
            files=[("files", (name, content)) for name, content in files],
            headers=who,
        )

    async def uploaded(
        self, *files: tuple[str, bytes], kb: str = "kb1", **fields: str
    ) -> dict[str, str]:
        """The failed files of an upload that was accepted as such."""
        body = (await self.upload(*files, kb=kb, who=ADMIN, **fields)).json()
        assert (body["code"], body["msg"]) == (200, "文件上传与向量化完成"), body
        failed: dict[str, str] = body["data"]["failed_files"]
        return failed

    async def search(self, query: str, kb: str = "kb1", **options: Any) -> list[dict[str, Any]]:
        body = {"query": query, "knowledge_base_name": kb} | options
        found = (await self.post("/knowledge_base/search_docs", body)).json()
        assert isinstance(found, list), found
        return found

    async def files(self, kb: str = "kb1") -> list[str]:
        answer = await self.get("/knowledge_base/list_files", knowledge_base_name=kb)
        names: list[str] = answer.json()["data"]
        return names


@asynccontextmanager
async def running(settings: KbSettings, *, patience: float = 45) -> AsyncIterator[FastAPI]:
    """The app with its lifespan, as one process would have it."""
    app = create_app(settings, patience=patience, parsers=PARSERS)
    async with app.router.lifespan_context(app):
        yield app


@asynccontextmanager
async def on_a_socket(settings: KbSettings) -> AsyncIterator[str]:
    """The app behind uvicorn on a free port; gives its base URL."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, parsers=PARSERS), port=0, log_config=None, access_log=False
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if serving.done():
            serving.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Path:
    return databases.migrated("kb")


def trusting(folder: Path, migrated: Path) -> Path:
    """A data folder with an empty database, whose service believes our callers."""
    (folder / "kb").mkdir()
    shutil.copy(migrated, folder / "kb" / "kb.db")
    keys = folder / "keys"
    keys.mkdir()
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (keys / "caller.pub").write_bytes(public)
    return folder


@pytest.fixture
def make_settings(tmp_path: Path, migrated: Path) -> Callable[..., KbSettings]:
    trusting(tmp_path, migrated)

    def make(**options: Any) -> KbSettings:
        return KbSettings(chat2llm_data=tmp_path, **({"kb_sample": False} | options))

    return make


@asynccontextmanager
async def connected(settings: KbSettings, *, patience: float = 45) -> AsyncIterator[Kb]:
    async with running(settings, patience=patience) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://kb", timeout=60
        ) as client:
            yield Kb(client)


@pytest.fixture
async def kb(make_settings: Callable[..., KbSettings]) -> AsyncIterator[Kb]:
    async with connected(make_settings()) as running_kb:
        yield running_kb
