"""The response that streams: headers at once, signs of life, one object when not streaming."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from chat_service.api.stream import AnswerStream
from chat_service.wire import Format, Reader
from tests.chat_service.conftest import until


class SlowAnswering:
    """Says nothing until told to, then one word."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.cancelled = False

    async def answer(self, reader: Reader) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await reader.text(["好"])


@pytest.fixture
def answering() -> SlowAnswering:
    return SlowAnswering()


@pytest.fixture
async def client(answering: SlowAnswering) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.get("/{mode}")
    async def stream(mode: str) -> AnswerStream:
        return AnswerStream(
            answering.answer,
            Format.with_sources() if mode == "kb" else Format.llm("t" * 32),
            whole=mode == "whole",
            keep_alive_every=0.05,
        )

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    answering.go.set()
    server.should_exit = True
    await task


@pytest.mark.parametrize(("mode", "key"), [("llm", "text"), ("kb", "answer")])
async def test_signs_of_life_while_waiting(
    mode: str, key: str, client: httpx.AsyncClient, answering: SlowAnswering
) -> None:
    reads: list[bytes] = []
    async with client.stream("GET", f"/{mode}") as answer:
        assert answer.status_code == 200  # the headers are here, though nothing was said
        async for read in answer.aiter_raw():
            reads.append(read)
            if len(reads) == 3:
                answering.go.set()
    assert reads[:3] == [json.dumps({key: ""}).encode()] * 3
    assert json.loads(reads[-1])[key] == "好"


async def test_the_whole_answer_comes_alone(
    client: httpx.AsyncClient, answering: SlowAnswering
) -> None:
    async with client.stream("GET", "/whole") as answer:
        await asyncio.sleep(0.15)  # longer than a stream would stay silent
        answering.go.set()
        reads = [read async for read in answer.aiter_raw()]
    assert reads == [b'{"text": "\xe5\xa5\xbd", "chat_history_id": "' + b"t" * 32 + b'"}']


async def test_leaving_cancels_at_once(client: httpx.AsyncClient, answering: SlowAnswering) -> None:
    async with client.stream("GET", "/llm"):
        pass
    await until(lambda: answering.cancelled, within=1)
