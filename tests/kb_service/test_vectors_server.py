"""Errors of a Qdrant server become ours."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kb_service.vectors import CollectionMismatch, SparseVector, VectorIndex, open_index
from servicekit.errors import Unavailable, UpstreamError

Handler = Callable[[web.BaseRequest], Coroutine[Any, Any, web.StreamResponse]]
ONE_TERM = SparseVector([1], [1.0])


def open_server(url: str) -> VectorIndex:
    return open_index(url=url, api_key=None, folder=Path("never-made"), collection="c")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_a_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    index = open_server(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(Unavailable):
        await index.ensure(None)
    with pytest.raises(Unavailable):
        await index.query(1, ONE_TERM, None, 5)
    await index.close()


async def test_an_old_server_is_refused_because_it_ignores_the_idf_corpus() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response({"title": "qdrant", "version": "1.18.4"})

    async with serving(answer) as url:
        index = open_server(url)
        with pytest.raises(CollectionMismatch, match=r"1\.18\.4 is too old"):
            await index.ensure(None)
        await index.close()


async def test_a_failing_server_is_an_upstream_error() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response({"status": {"error": "disk full"}}, status=500)

    async with serving(answer) as url:
        index = open_server(url)
        with pytest.raises(UpstreamError, match="500"):
            await index.count(1)
        await index.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
async def test_the_api_key_goes_with_every_request() -> None:
    keys: list[str | None] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        keys.append(request.headers.get("api-key"))
        return web.json_response({"status": {"error": "enough"}}, status=403)

    async with serving(answer) as url:
        index = open_index(url=url, api_key="k1", folder=Path("never-made"), collection="c")
        with pytest.raises(UpstreamError):
            await index.count(1)
        await index.close()
    assert keys == ["k1"]
