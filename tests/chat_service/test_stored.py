"""Every answer is stored: when the model fails, the reader leaves, a service is away or killed."""

import asyncio
import json
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from chat_service.clients import SessionClient, Turn
from chat_service.outbox import DONE, INTERRUPTED, Outbox
from chat_service.store import OutboxStore, Parcel
from servicekit.database import Database, sqlite_url
from servicekit.http import ServiceClient, open_session
from tests.chat_service.conftest import Chat, caller_header, until
from tests.chat_service.standins import KbStandIn, SessionStandIn, free_port
from tests.fakes.vendor import (
    DONE as SSE_DONE,
)
from tests.fakes.vendor import (
    END,
    Behaviour,
    Reply,
    VendorServer,
    chunks,
    cut_before_headers,
    data,
    event,
    hang,
    status,
    tokens,
)

FAILURES: dict[str, tuple[list[Behaviour], str]] = {
    "401": ([status(401)], "API_KEY"),
    "429": ([status(429, Retry_After="60")], "繁忙"),
    "500": ([status(500)] * 3, "无法连接"),
    "hang before headers": ([hang()], "超时"),
    "hang after tokens": ([hang([event("一"), event("二")])], "超时"),
    "error after tokens": (
        [chunks([event("一"), event("二"), data({"error": {"message": "x"}})])],
        "中断",
    ),
    "empty stream": ([chunks(END)], "没有返回"),
    "cut connection": ([chunks([event("一"), event("二")], pace=0.1, cut=True)], "中断"),
    "cut before headers": ([cut_before_headers] * 3, "无法连接"),
    "malformed chunk": ([chunks([event("一"), event("二"), b"data: {x\n\n"])], "中断"),
    "no choices": ([chunks([data({"error_code": 50001, "text": "x"}), SSE_DONE])], "中断"),
}


def rows(data: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        found = database.execute("SELECT response, state FROM outbox").fetchall()
    database.close()
    return found


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("kb_mode", [False, True], ids=["llm", "kb"])
async def test_a_failure_is_a_sentence_and_the_partial_answer_is_kept(
    case: str,
    kb_mode: bool,
    chat: Chat,
    vendor: VendorServer,
    sessions: SessionStandIn,
    kb: KbStandIn,
) -> None:
    behaviours, expected = FAILURES[case]
    vendor.then(*behaviours)
    body = {"knowledge_base_name": "kb1"} if kb_mode else {}
    objects = await chat.ask(**body)
    if kb_mode:
        assert list(objects.pop()) == ["docs"]
    key = "answer" if kb_mode else "text"
    said = "".join(o[key] for o in objects)
    assert expected in said
    assert "k-very-secret-key" not in said
    if case in ("hang after tokens", "error after tokens", "malformed chunk", "cut connection"):
        assert said.startswith("一二\n\n")
    turn = sessions.turn
    assert (turn.response, turn.state) == (said, "failed")


async def test_the_log_has_the_failure_but_no_key(
    chat: Chat, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    key = "k-very-secret-key"
    vendor.then(status(401, {"error": {"message": f"Incorrect API key: {key}, see docs"}}))
    await chat.ask()
    assert "Incorrect API key" in caplog.text
    assert key not in caplog.text


async def test_the_reader_leaves(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang([event("一"), event("二")]))
    async with chat.client.stream("POST", "/chat/chat", json={"query": "q", "stream": True}) as a:
        read = b""
        async for part in a.aiter_raw():
            read += part
            if "二" in read.decode():
                break
    async with asyncio.timeout(1):
        await vendor.requests[0].left.wait()
    await until(lambda: sessions.turn.finishes > 0)
    assert (sessions.turn.response, sessions.turn.state) == ("一二", "interrupted")


async def test_the_reader_leaves_before_the_first_token(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang())
    async with chat.client.stream("POST", "/chat/chat", json={"query": "q", "stream": True}) as a:
        assert a.status_code == 200
        await until(lambda: bool(vendor.requests))
    async with asyncio.timeout(1):
        await vendor.requests[0].left.wait()
    await until(lambda: sessions.turn.finishes > 0)
    assert (sessions.turn.response, sessions.turn.state) == ("", "interrupted")


async def test_the_reader_leaves_while_session_service_is_away(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang([event("一")]))
    async with chat.client.stream("POST", "/chat/chat", json={"query": "q", "stream": True}) as a:
        reads = a.aiter_raw()
        await anext(reads)
        await sessions.stop()
    async with asyncio.timeout(1):
        await vendor.requests[0].left.wait()
    await sessions.start()
    await until(lambda: sessions.turn.finishes > 0)
    assert (sessions.turn.response, sessions.turn.state) == ("一", "interrupted")


async def test_session_service_away_at_the_end(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    async def outlive(reply: Reply) -> None:
        await sessions.stop()
        await tokens(["好"])(reply)

    vendor.then(outlive)
    assert await chat.said() == "好"
    assert sessions.turn.state == "asking"
    await sessions.start()
    await until(lambda: sessions.turn.state == "done")
    assert (sessions.turn.response, sessions.turn.finishes) == ("好", 1)


async def test_session_service_stumbles(
    chat: Chat, sessions: SessionStandIn, vendor: VendorServer, data: Path
) -> None:
    sessions.failing_finishes = 2
    vendor.then(tokens(["好"]))
    await chat.ask()
    await until(lambda: sessions.turn.state == "done")
    await until(lambda: not rows(data))
    assert sessions.turn.finishes == 1


async def test_a_long_stream_has_checkpoints(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn, data: Path
) -> None:
    vendor.then(tokens(["字"] * 60, pace=0.1))
    asking = asyncio.create_task(chat.ask())
    await until(lambda: bool(rows(data)))
    ((kept, state),) = rows(data)
    assert kept.startswith("字字字")
    assert state == "interrupted"
    await asking
    assert (sessions.turn.response, sessions.turn.state) == ("字" * 60, "done")
    assert not rows(data)


async def test_killed_in_the_middle(
    data: Path, sessions: SessionStandIn, kb: KbStandIn, vendor: VendorServer
) -> None:
    """kill -9: the checkpoint is delivered by the next process, and the turn is interrupted."""
    vendor.default = tokens(["字"] * 600, pace=0.05)
    port = free_port()
    env = {
        "CHAT2LLM_DATA": str(data),
        "CHAT_PORT": str(port),
        "SESSION_URL": sessions.url,
        "KB_URL": kb.url,
        "CUSTOM_API_BASE_URL": vendor.base_url,
        "PYTHONPATH": str(Path.cwd()),
    }

    async def start() -> asyncio.subprocess.Process:
        child = await create_subprocess_exec(
            sys.executable, "-m", "chat_service", env=env, cwd=data, stdout=PIPE, stderr=PIPE
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    assert (await client.get("/readyz")).status_code == 200
                    return child
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)

    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=caller_header(), timeout=30
    ) as client:
        first = await start()
        asked = {"query": "q", "stream": True, "session_id": "5" * 32}
        async with client.stream("POST", "/chat/chat", json=asked):
            await until(lambda: bool(rows(data)))
            first.send_signal(signal.SIGKILL)
            await first.communicate()
        ((kept, _),) = rows(data)
        assert sessions.turn.state == "asking"
        with sqlite3.connect(data / "chat" / "chat.db") as database:
            database.execute("UPDATE outbox SET due_at = 0")  # the dead one's lease has ended
        second = await start()
        await until(lambda: sessions.turn.state == "interrupted", within=25)
        assert sessions.turn.response == kept
        assert kept.startswith("字" * 10)
        async with client.stream("POST", "/chat/chat", json=asked | {"query": "r"}) as answer:
            reads = answer.aiter_raw()
            await anext(reads)
            second.terminate()  # a stop, unlike a kill, stores what was said
            await second.communicate()
        stopped = next(turn for turn in sessions.turns.values() if turn.query == "r")
        assert stopped.state == "interrupted"
        assert stopped.response.startswith("字" * 10)
    assert not rows(data)


Outboxes = tuple[list[Outbox], list[OutboxStore]]


@pytest.fixture
async def outboxes(data: Path, sessions: SessionStandIn) -> AsyncIterator[Outboxes]:
    """Two processes' outboxes on one database."""
    url = sqlite_url(data / "chat" / "chat.db")
    async with open_session() as session:
        client = SessionClient(ServiceClient(session, sessions.url, name="session_service"))
        databases = [Database(url, package="chat_service") for _ in range(2)]
        stores = [OutboxStore(database) for database in databases]
        yield [Outbox(store, client) for store in stores], stores
        for database in databases:
            await database.close()


def parcel(turn: Turn, *, due_at: float) -> Parcel:
    return Parcel("p" * 32, turn.id, turn.capability, "好", json.dumps([]), DONE, 0, due_at)


async def begun(sessions: SessionStandIn) -> Turn:
    async with httpx.AsyncClient(base_url=sessions.url, headers=caller_header()) as client:
        asked = {"session_id": None, "turn_id": None, "chat_type": "llm_chat", "query": "q"}
        answer = (await client.post("/internal/turns", json=asked)).json()
    return Turn(answer["turn_id"], answer["capability"])


async def test_two_processes_deliver_once(outboxes: Outboxes, sessions: SessionStandIn) -> None:
    both, stores = outboxes
    turn = await begun(sessions)
    await stores[0].write([parcel(turn, due_at=0)])
    await asyncio.gather(*(outbox.deliver() for outbox in both))
    assert (sessions.turn.response, sessions.turn.finishes) == ("好", 1)


async def test_a_parcel_is_claimed_once(outboxes: Outboxes, sessions: SessionStandIn) -> None:
    _, stores = outboxes
    await stores[0].write([parcel(await begun(sessions), due_at=0)])
    claims = await asyncio.gather(*(store.claim(now=1, until=9e9) for store in stores * 4))
    assert len([claim for claim in claims if claim]) == 1


async def test_a_live_stream_s_checkpoint_is_nobody_else_s(
    outboxes: Outboxes, sessions: SessionStandIn, data: Path
) -> None:
    both, _ = outboxes
    draft = both[0].open(await begun(sessions))
    draft.pieces.append("半")
    draft.begun_at = 0
    await both[0].checkpoint()
    await both[1].deliver()
    assert sessions.turn.state == "asking"
    assert rows(data) == [("半", INTERRUPTED)]
    draft.pieces.append("全")
    draft.state = DONE
    await both[0].finish(draft)
    assert (sessions.turn.response, sessions.turn.state) == ("半全", "done")
    assert not rows(data)


async def test_a_checkpoint_that_failed_loses_no_answer(
    outboxes: Outboxes, sessions: SessionStandIn, data: Path
) -> None:
    [outbox, _], _ = outboxes
    draft = outbox.open(await begun(sessions))
    draft.begun_at = 0
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        database.execute("ALTER TABLE outbox RENAME TO away")
    with pytest.raises(DBAPIError):
        await outbox.checkpoint()
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        database.execute("ALTER TABLE away RENAME TO outbox")
    draft.pieces.append("全")
    draft.state = DONE
    await sessions.stop()
    await outbox.finish(draft)
    assert rows(data) == [("全", DONE)]


async def test_an_answer_arrives_without_chat_db(
    outboxes: Outboxes, sessions: SessionStandIn, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [outbox, _], _ = outboxes
    draft = outbox.open(await begun(sessions))
    draft.begun_at = 0
    await outbox.checkpoint()
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        database.execute("ALTER TABLE outbox RENAME TO away")
    draft.pieces.append("全")
    draft.state = DONE
    await outbox.finish(draft)
    assert (sessions.turn.response, sessions.turn.state) == ("全", "done")
    assert "its checkpoint in chat.db stays as it is" in caplog.text


async def test_what_was_written_anew_stays(outboxes: Outboxes, sessions: SessionStandIn) -> None:
    """Its process was only slow, and another one took it for dead."""
    _, [store, other] = outboxes
    late = parcel(await begun(sessions), due_at=0)
    await store.write([late])
    claimed = await other.claim(now=1, until=2)
    assert claimed
    await store.write([late])
    await other.delivered(claimed)
    await other.postpone(claimed, until=9e9)
    assert await store.claim(now=1, until=2)


async def test_a_turn_that_is_gone_is_given_up(
    outboxes: Outboxes, sessions: SessionStandIn, data: Path
) -> None:
    both, stores = outboxes
    turn = await begun(sessions)
    sessions.turns.clear()
    await stores[0].write([parcel(turn, due_at=0)])
    await both[0].deliver()
    assert not rows(data)
