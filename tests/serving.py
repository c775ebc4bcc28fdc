"""A service's real app on a real socket, in this process, with signed callers."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.types import ASGIApp

from servicekit.identity import CALLER_HEADER, Caller, sign_caller


class Issuer:
    """Signs callers as auth_service does; services that trust it find its key in their data."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def trusted_by(self, data: Path) -> Path:
        """The data folder, with this issuer's public key in it."""
        (data / "keys").mkdir(parents=True, exist_ok=True)
        pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (data / "keys" / "caller.pub").write_bytes(pem)
        return data

    def headers(
        self,
        user_id: str,
        *,
        client_id: str = "7",
        scopes: tuple[str, ...] = ("chat", "kb:read"),
        lifetime: float = 300,
        groups: tuple[str, ...] = (),
        confined_to: tuple[str, ...] | None = None,
    ) -> dict[str, str]:
        name = f"name of {user_id}"
        caller = Caller(client_id, user_id, name, scopes, groups, confined_to)
        return {CALLER_HEADER: sign_caller(caller, self._key, expires_at=time.time() + lifetime)}


class _Server(uvicorn.Server):
    """A server that says when it listens, and stops as soon as it is told to."""

    def __init__(self, app: ASGIApp, options: dict[str, Any]) -> None:
        options = {"port": 0, "log_config": None, "timeout_graceful_shutdown": 1} | options
        super().__init__(uvicorn.Config(app, **options))
        self.listening, self.stopping = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, without its pauses, which every test would wait for."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - sets
                    await asyncio.sleep(0.001)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@asynccontextmanager
async def served(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """The URL of the running app; `options` are uvicorn's."""
    server = _Server(app, options)
    task = asyncio.create_task(server.serve())
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait({task, listening}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert server.started, "the app did not start; its log says why"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        listening.cancel()
        server.stopping.set()
        await task
