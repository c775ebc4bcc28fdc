"""Apps of the kit: called in this process, or behind a real server on a free port."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

ClientOf = Callable[[FastAPI], Awaitable[httpx.AsyncClient]]
Serve = Callable[[ASGIApp], Awaitable[str]]


@pytest.fixture
async def client_of() -> AsyncIterator[ClientOf]:
    """Starts an app in this process, its lifespan included, and gives a client for it."""
    async with AsyncExitStack() as running:

        async def start(app: FastAPI) -> httpx.AsyncClient:
            await running.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://shop")
            return await running.enter_async_context(client)

        yield start


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves an app over a real socket and gives its URL."""
    async with AsyncExitStack() as running:

        async def start(app: ASGIApp) -> str:
            return f"http://127.0.0.1:{await running.enter_async_context(_served(app))}"

        yield start


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[int]:
    server = _Server(app)
    task = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.listening.wait(), 10)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task
