"""Apps of the kit: called in this process, or behind a real server on a free port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from tests.serving import served

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
            return await running.enter_async_context(served(app))

        yield start
