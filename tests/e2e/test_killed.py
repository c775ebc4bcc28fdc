"""kill -9 of chat_service in the middle of an answer, as session_service's history tells it."""

import asyncio
import os
import signal
import sqlite3
from pathlib import Path

import httpx

from tests.chat_service.conftest import until
from tests.e2e.conftest import Scripted
from tests.fakes.vendor import tokens
from tests.stack import is_ready, service_pids

SESSION = "9" * 32


async def test_neither_the_question_nor_what_was_said_is_lost(scripted: Scripted) -> None:
    scripted.vendor.then(tokens(["字"] * 600, pace=0.05))
    outbox = scripted.stack.data / "chat" / "chat.db"
    asked = {"query": "年假几天？", "session_id": SESSION, "stream": True, "history": []}
    try:
        async with scripted.client.stream("POST", "/chat/chat", json=asked) as answer:
            reads = answer.aiter_raw()
            await anext(reads)
            await until(lambda: bool(_kept(outbox)))
            os.kill(service_pids(scripted.stack.data)["chat_service"], signal.SIGKILL)
            async for _ in reads:
                pass
    except httpx.RemoteProtocolError:  # the rest of a chunked answer that never came
        pass
    (kept,) = _kept(outbox)
    assert kept.startswith("字" * 10)
    assert (await _turn(scripted))["query"] == "年假几天？"
    with sqlite3.connect(outbox) as database:
        database.execute("UPDATE outbox SET due_at = 0")  # the dead one's lease has ended
    database.close()
    await until(lambda: is_ready(scripted.stack.ports["chat_service"]), within=30)
    async with asyncio.timeout(30):
        while (await _turn(scripted))["response"] != kept:
            pass


def _kept(outbox: Path) -> list[str]:
    database = sqlite3.connect(outbox)
    try:
        return [text for (text,) in database.execute("SELECT response FROM outbox")]
    finally:
        database.close()


async def _turn(scripted: Scripted) -> dict[str, str]:
    asked = {"session_id": SESSION, "num": 1}
    answer = await scripted.client.post("/history/latest", json=asked)
    turn: dict[str, str] = answer.json()["data"][0]
    return turn
