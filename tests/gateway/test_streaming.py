"""Streams: whole chunks, at once, and nothing left open when somebody leaves."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.proxy.forwarder import Patience
from tests.gateway.conftest import Start, Suite, scripted

GOOD = {"Api-Token": "good"}
CHAT = "/api/chat/chat"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def tick() -> None:
    """Long enough for what was written to be read on the other side."""
    await asyncio.sleep(0.003)


async def read_chunks(reader: asyncio.StreamReader) -> list[bytes]:
    """The HTTP chunks of a raw answer, as they are framed on the wire."""
    chunks: list[bytes] = []
    while True:
        size = int(await reader.readline(), 16)
        data = await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
        if not size:
            return chunks
        chunks.append(data)


async def until_cancelled(left: asyncio.Event) -> None:
    """A stand-in's handler is cancelled when its client is gone."""
    try:
        await asyncio.Event().wait()
    finally:
        left.set()


async def ask(
    suite: Suite, identity: bytes = b"Api-Token: good"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"POST /api/chat/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n%b\r\n\r\n{}" % identity
    )
    return reader, writer


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
async def test_chunks_stay_whole_however_they_arrive(start: Start, cut: int) -> None:
    objects = [{"text": "知识库🙂" * n, "chat_history_id": "0" * 32} for n in (1, 2, 40, 3)]
    written = [json.dumps(one, ensure_ascii=False).encode() for one in objects]
    written.append(written[0] + written[1])  # two objects in one write stay together
    wire = HEAD + b"".join(map(chunk, written)) + b"0\r\n\r\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(wire), cut):
            writer.write(wire[at : at + cut])
            await writer.drain()
            await (tick() if cut > 3 else asyncio.sleep(0))

    async with scripted(script) as url:
        suite = await start(chat_url=url)
        reader, writer = await ask(suite)
        await reader.readuntil(b"\r\n\r\n")
        assert await read_chunks(reader) == written
        writer.close()


async def test_every_read_of_a_fast_and_of_a_slow_client_is_whole_objects(start: Start) -> None:
    objects = [{"answer": f"第{n}段🙂"} for n in range(100)]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for number, one in enumerate(objects):
            data = chunk(json.dumps(one, ensure_ascii=False).encode())
            half = len(data) // 2
            writer.write(data[:half])
            await (tick() if number % 10 == 0 else asyncio.sleep(0))
            writer.write(data[half:])
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with scripted(script) as url:
        suite = await start(chat_url=url)
        for pause in (0.0, 0.02):
            got = []
            async with suite.client.stream("POST", CHAT, headers=GOOD, json={}) as answer:
                async for read in answer.aiter_raw():
                    # The published H5's parser, on this read alone.
                    got += json.loads("[" + read.decode().replace("}{", "},{") + "]")
                    await asyncio.sleep(pause)
            assert got == objects


async def test_headers_and_chunks_come_at_once(suite: Suite) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(
            headers={"Cache-Control": "max-age=60", "X-Accel-Buffering": "yes"}
        )
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        await go_on.wait()
        go_on.clear()
        await stream.write(b'{"text": "one"}')
        await go_on.wait()
        await stream.write(b'{"text": "two"}')
        return stream

    suite.chat.answers["/chat/chat"] = answer
    async with (
        asyncio.timeout(5),
        suite.client.stream("POST", CHAT, headers=GOOD, json={}) as got,
    ):
        assert got.headers.get_list("cache-control") == ["no-cache, no-transform"]
        assert got.headers.get_list("x-accel-buffering") == ["no"]
        assert "content-encoding" not in got.headers
        reads = got.aiter_raw()
        go_on.set()
        assert await anext(reads) == b'{"text": "one"}'
        go_on.set()
        assert await anext(reads) == b'{"text": "two"}'


async def test_the_upstream_is_let_go_when_the_client_leaves(suite: Suite) -> None:
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"text": "one"}')
        await until_cancelled(left)
        return stream

    suite.chat.answers["/chat/chat"] = answer
    async with suite.client.stream("POST", CHAT, headers=GOOD, json={}) as got:
        assert await anext(got.aiter_raw()) == b'{"text": "one"}'
    async with asyncio.timeout(1):
        await left.wait()


@pytest.mark.parametrize("path", [CHAT, "/api/knowledge_base/search_docs"])
async def test_the_upstream_is_let_go_before_it_answered(suite: Suite, path: str) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.set()
        await until_cancelled(left)
        return web.Response()

    suite.chat.answers["/chat/chat"] = answer
    suite.kb.answers["/knowledge_base/search_docs"] = answer
    call = asyncio.create_task(suite.client.post(path, headers=GOOD, json={}))
    await asked.wait()
    call.cancel()
    async with asyncio.timeout(1):
        await left.wait()


async def test_the_upstream_is_let_go_in_the_middle_of_an_upload(suite: Suite) -> None:
    suite.auth.knows("writer", scopes=("kb:write",))
    begun: asyncio.Event = asyncio.Event()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            await request.content.readexactly(100_000)
            begun.set()
            await request.content.read()
        except BaseException as error:
            ended.set_result(type(error).__name__)
            raise
        ended.set_result("a whole body")
        return web.Response()

    suite.kb.answers["/knowledge_base/upload_docs"] = answer
    for framing in (b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        begun.clear()
        ended = asyncio.get_running_loop().create_future()
        _, writer = await asyncio.open_connection(*suite.address)
        writer.write(
            b"POST /knowledge_base/upload_docs HTTP/1.1\r\nHost: x\r\nApi-Token: writer\r\n"
            + framing
        )
        part = b"x" * 200_000
        writer.write(chunk(part) if b"chunked" in framing else part)
        await writer.drain()
        await begun.wait()
        writer.close()
        async with asyncio.timeout(2):
            assert await ended != "a whole body"


async def test_a_slow_service_slows_the_upload_down(suite: Suite) -> None:
    """50 MB never fit into the gateway: what is not read above is not accepted below."""
    suite.auth.knows("writer", scopes=("kb:write",))
    size, sent, go_on, received = 50_000_000, 0, asyncio.Event(), 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal received
        await go_on.wait()
        async for part in request.content.iter_any():
            received += len(part)
        return web.json_response({"received": received})

    async def upload(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        part = b"x" * 100_000
        while sent < size:
            writer.write(part)
            await writer.drain()
            sent += len(part)

    suite.kb.answers["/knowledge_base/upload_docs"] = answer
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"POST /knowledge_base/upload_docs HTTP/1.1\r\nHost: x\r\nApi-Token: writer\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % size
    )
    uploading = asyncio.create_task(upload(writer))
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 20_000_000  # what the sockets of two connections hold
    go_on.set()
    await uploading
    assert (await reader.read()).endswith(b'{"received": 50000000}')
    writer.close()


@pytest.mark.parametrize("begin", [HEAD + chunk(b'{"text": "half"}'), HEAD, HEAD + b"20\r\n{"])
async def test_a_broken_stream_closes_the_connection(start: Start, begin: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await writer.drain()
        await tick()

    async with scripted(script) as url:
        suite = await start(chat_url=url)
        reader, writer = await ask(suite)
        async with asyncio.timeout(3):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert not answer.endswith(b"0\r\n\r\n")
        assert answer.endswith(chunk(b'{"text": "half"}') if b"half" in begin else b"\r\n\r\n")
        writer.close()


async def test_nonsense_from_a_service_is_503_and_readable_in_the_chat(start: Start) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SMTP ready\r\n\r\n")

    async with scripted(script) as url:
        suite = await start(chat_url=url)
        answer = await suite.client.post(CHAT, headers=GOOD, json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        body = answer.json()
        assert body["text"] == body["answer"] == body["detail"]
        assert "chat_service" in body["text"]


async def test_a_slow_answer_is_504_but_a_slow_stream_is_not(start: Start) -> None:
    suite = await start(patience=Patience(silence=0.3))

    async def slowly(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await asyncio.sleep(0.6)
        await stream.prepare(request)
        await stream.write(b'{"text": "late"}')
        return stream

    suite.chat.answers["/chat/chat"] = slowly
    suite.session.answers["/session/list"] = slowly
    answer = await suite.client.post(CHAT, headers=GOOD, json={})
    assert (answer.status_code, answer.text) == (200, '{"text": "late"}')
    answer = await suite.client.get("/session/list", headers=GOOD)
    assert answer.status_code == 504
    assert "session_service" in answer.json()["detail"]


async def test_a_long_upload_is_not_a_slow_answer(start: Start) -> None:
    suite = await start(patience=Patience(silence=0.3))
    suite.auth.knows("writer", scopes=("kb:write",))

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"x" * 1000
            await asyncio.sleep(0.15)

    answer = await suite.client.post(
        "/knowledge_base/update_info", content=parts(), headers={"Api-Token": "writer"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("becomes", ["unknown", "expired", "unasked"])
async def test_a_stream_ends_when_its_identity_is_taken_back(start: Start, becomes: str) -> None:
    """Taken back only: an answer that began in time may end, and silence takes nothing back."""
    suite = await start(patience=Patience(identity=0.1))
    left, finish = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"text": "one"}')
        try:
            await finish.wait()
        except asyncio.CancelledError:
            left.set()
            raise
        await stream.write(b'{"text": "two"}')
        return stream

    suite.chat.answers["/chat/chat"] = answer
    reader, writer = await ask(suite)
    await reader.readuntil(b'{"text": "one"}')
    suite.auth.asked.clear()
    if becomes == "unknown":
        del suite.auth.people["good"]
    elif becomes == "expired":
        suite.auth.expires("good")
    else:
        suite.auth.status = 503
    await suite.auth.asked.wait()
    if becomes == "unknown":
        async with asyncio.timeout(2):
            assert b"two" not in await reader.read()
            await left.wait()
    else:
        await asyncio.sleep(0.3)
        finish.set()
        await reader.readuntil(b'{"text": "two"}')
    writer.close()


@pytest.mark.parametrize(
    ("identity", "credential"),
    [
        (b"Api-Token: v1", "v1"),
        (b"Api-Token: c2s-session", "c2s-session"),
        (b"Api-Token: c2l-key", "c2l-key"),
        (b"Authorization: Bearer c2l-key", "c2l-key"),
        (b"Cookie: chat2llm_session=c2s-session\r\nSec-Fetch-Site: same-origin", "c2s-session"),
    ],
)
async def test_every_kind_of_credential_ends_its_streams_when_it_is_disabled(
    start: Start, identity: bytes, credential: str
) -> None:
    suite = await start(patience=Patience(identity=0.1))
    suite.auth.knows("v1", session="c2s-session")
    suite.auth.knows("c2l-key", "robot", key_id="k1")
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"text": "one"}')
        await until_cancelled(left)
        return stream

    suite.chat.answers["/chat/chat"] = answer
    reader, writer = await ask(suite, identity)
    await reader.readuntil(b'{"text": "one"}')
    del suite.auth.people[credential]
    async with asyncio.timeout(5):
        await reader.read()
        await left.wait()
    writer.close()


async def test_an_operators_stream_ends_with_the_session(start: Start) -> None:
    suite = await start(patience=Patience(identity=0.1))
    suite.auth.knows("c2a-one", "root", client="admin", scopes=("admin",), csrf_token="csrf")
    left = asyncio.Event()

    async def follow(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b"event: job\n\n")
        await until_cancelled(left)
        return stream

    suite.kb.answers["/admin/jobs/7/events"] = follow
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"GET /admin/jobs/7/events HTTP/1.1\r\nHost: x\r\nCookie: chat2llm_admin=c2a-one\r\n\r\n"
    )
    await reader.readuntil(b"event: job\n\n")
    del suite.auth.people["c2a-one"]
    async with asyncio.timeout(5):
        await reader.read()
        await left.wait()
    writer.close()


def test_a_stream_is_asked_about_often_enough() -> None:
    """An answer may be half a pause old when a pause begins, and auth_service takes its time."""
    slowest_answer = 5
    assert Patience().identity * 1.5 + slowest_answer <= 30


async def test_there_are_only_so_many_streams(start: Start) -> None:
    suite = await start(patience=Patience(streams=2))
    finish = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"text": "one"}')
        await finish.wait()
        return stream

    suite.chat.answers["/chat/chat"] = answer
    streams = [await ask(suite) for _ in range(2)]
    for reader, _ in streams:
        await reader.readuntil(b'{"text": "one"}')
    refused = await suite.client.post(CHAT, headers=GOOD, json={})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    body = refused.json()
    assert body["text"] == body["answer"] == body["detail"]
    assert (await suite.client.get("/session/list", headers=GOOD)).is_success
    finish.set()
    for reader, writer in streams:
        await reader.readuntil(b"0\r\n\r\n")
        writer.close()
    assert (await suite.client.post(CHAT, headers=GOOD, json={})).is_success


async def test_thirty_streams_at_once_leave_no_connection(suite: Suite) -> None:
    open_now, all_gone = 0, asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal open_now
        open_now += 1
        all_gone.clear()
        try:
            stream = web.StreamResponse()
            stream.enable_chunked_encoding()
            await stream.prepare(request)
            for number in range(20):
                await stream.write(b'{"text": "%d"}' % number)
                await asyncio.sleep(0.001)
            return stream
        finally:
            open_now -= 1
            if not open_now:
                all_gone.set()

    async def read_some(count: int) -> int:
        async with suite.client.stream("POST", CHAT, headers=GOOD, json={}) as got:
            reads = 0
            async for _ in got.aiter_raw():
                reads += 1
                if reads == count:
                    break
            return reads

    suite.chat.answers["/chat/chat"] = answer
    counts = await asyncio.gather(*(read_some(n % 3 * 5 + 1) for n in range(30)))
    assert min(counts) == 1
    async with asyncio.timeout(2):
        await all_gone.wait()
    assert open_now == 0


async def test_two_requests_in_one_write_are_answered_in_order(suite: Suite) -> None:
    request = b"GET /session/list?n=%d HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\n%b\r\n"
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(request % (1, b"") + request % (2, b"Connection: close\r\n"))
    answer = await reader.read()
    assert answer.index(b"?n=1") < answer.index(b"?n=2")
    writer.close()
