"""What goes up and what comes down, as the services and the clients see it."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web

from gateway.routing import ROUTES
from tests.gateway.conftest import Start, Suite, an_address_of, scripted

GOOD = {"Api-Token": "good"}
SESSIONS = "/session/list"
DOWNLOAD = "/knowledge_base/download_doc"


async def exchange(suite: Suite, request: bytes) -> bytes:
    """The whole answer to bytes as they are, until the gateway closes."""
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def seen_headers(answer: httpx.Response) -> dict[str, list[str]]:
    """The headers of the request as the echoing service got it."""
    seen: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_request_reaches_its_service_as_it_was(suite: Suite, prefix: str) -> None:
    answer = await suite.client.post(
        f"{prefix}/knowledge_base/search_docs?a=%E7%9F%A5&b=1+2&b=%2F",
        content='{"query": "知"}'.encode(),
        headers=[
            (b"Api-Token", b"good"),
            (b"Content-Type", b"application/json"),
            (b"X-Custom", "Grüße".encode()),
        ],
    )
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["path"] == "/knowledge_base/search_docs?a=%E7%9F%A5&b=1+2&b=%2F"
    assert seen["body"].encode("latin-1") == '{"query": "知"}'.encode()
    headers = seen_headers(answer)
    assert headers["content-type"] == ["application/json"]
    assert headers["x-custom"] == ["Grüße"]
    assert headers["x-chat2llm-caller"] == ["signed-for-alice"]
    assert len(suite.kb.requests) == 1


async def test_an_unknown_path_is_404_json(suite: Suite) -> None:
    for path in (
        "/nowhere",
        "/api/nowhere",
        "/api",
        "/internal/introspect",
        "/api/internal/search",
    ):
        answer = await suite.client.get(path, headers=GOOD | {"Accept": "text/html"})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await suite.client.post("/internal/introspect", json={})
    assert answer.status_code == 404
    assert suite.auth.questions == []


@pytest.mark.parametrize(
    "path",
    ["/session/list/", "//session/list", "/session/./list", "/api/../internal/introspect"],
)
async def test_only_the_exact_path_is_routed(suite: Suite, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\nConnection: close\r\n\r\n"
    answer = await exchange(suite, request.encode())
    assert answer.split()[1] in (b"404", b"307")
    assert not suite.session.requests
    assert not suite.auth.requests


async def test_a_wrong_method_is_405_with_the_right_ones(suite: Suite) -> None:
    answer = await suite.client.get("/api/chat/chat", headers=GOOD)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {"detail": "Method Not Allowed"}


async def test_identity_from_outside_never_passes(suite: Suite) -> None:
    forged = [
        (b"Api-Token", b"good"),
        (b"X-Chat2LLM-Caller", b"forged"),
        (b"x-chat2llm-caller", b"forged"),
        (b"X_Chat2LLM_Caller", b"forged"),
        (b"X-Chat2LLM_Caller", b"forged"),
        (b"X-CHAT2LLM-ADMIN", b"forged"),
        (b"Cookie", b"other=1"),
    ]
    headers = seen_headers(await suite.client.get(SESSIONS, headers=forged))
    assert headers["x-chat2llm-caller"] == ["signed-for-alice"]
    assert "forged" not in str(headers)
    assert not {"api-token", "authorization", "cookie"} & set(headers)


async def test_the_caller_header_survives_being_named_hop_by_hop(suite: Suite) -> None:
    answer = await suite.client.get(
        SESSIONS,
        headers=GOOD | {"Connection": "X-Chat2LLM-Caller, X-Request-ID, X-Mine", "X-Mine": "1"},
    )
    headers = seen_headers(answer)
    assert headers["x-chat2llm-caller"] == ["signed-for-alice"]
    assert len(headers["x-request-id"]) == 1
    assert "x-mine" not in headers


async def test_hop_by_hop_headers_stop_here_on_the_way_up(suite: Suite) -> None:
    sent = {"TE": "trailers", "Keep-Alive": "5", "Proxy-Authorization": "Basic x", "Trailer": "T"}
    headers = seen_headers(await suite.client.get(SESSIONS, headers=GOOD | sent))
    assert not {"te", "keep-alive", "proxy-authorization", "trailer"} & set(headers)


async def test_hop_by_hop_headers_stop_here_on_the_way_down(suite: Suite) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "5", "X-Stays": "1"}
        return web.Response(text="ok", headers=headers | {"Server": "inner"})

    suite.session.answers[SESSIONS] = answer
    got = await suite.client.get(SESSIONS, headers=GOOD)
    assert got.headers["x-stays"] == "1"
    assert not {"x-hop", "keep-alive", "server"} & set(got.headers)
    assert len(got.headers.get_list("date")) == 1


async def test_repeated_answer_headers_stay_repeated(suite: Suite) -> None:
    async def answer(request: web.Request) -> web.Response:
        got = web.Response(text="ok")
        got.headers.add("X-Twice", "1")
        got.headers.add("X-Twice", "2")
        return got

    suite.session.answers[SESSIONS] = answer
    got = await suite.client.get(SESSIONS, headers=GOOD)
    assert got.headers.get_list("x-twice") == ["1", "2"]


async def test_the_client_address_is_the_real_peer(suite: Suite) -> None:
    lies = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    headers = seen_headers(await suite.client.get(SESSIONS, headers=GOOD | lies))
    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == ["http"]
    assert headers["x-forwarded-host"] == [suite.url.removeprefix("http://")]
    assert "6.6.6.6" not in str(headers)
    assert suite.auth.questions[0]["address"] == "127.0.0.1"


async def test_a_trusted_proxy_says_who_came(start: Start) -> None:
    suite = await start(trusted_proxies="10.0.0.0/8, 127.0.0.1")
    said = {
        "X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.1.2.3",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "chat.example",
    }
    answer = await suite.client.get(SESSIONS, headers=GOOD | said)
    headers = seen_headers(answer)
    assert headers["x-forwarded-for"] == ["203.0.113.9"]
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["x-forwarded-host"] == ["chat.example"]
    assert suite.auth.questions[0]["address"] == "203.0.113.9"
    assert "Secure" in answer.headers["set-cookie"]


async def test_the_request_id_goes_up_and_comes_down(suite: Suite) -> None:
    answer = await suite.client.get(SESSIONS, headers=GOOD | {"X-Request-ID": "my-request-1"})
    assert answer.headers.get_list("x-request-id") == ["my-request-1"]
    assert seen_headers(answer)["x-request-id"] == ["my-request-1"]
    assert suite.auth.requests[0].headers["X-Request-ID"] == "my-request-1"
    answer = await suite.client.get(SESSIONS, headers=GOOD | {"X-Request-ID": "bad id"})
    made = answer.headers["x-request-id"]
    assert made != "bad id"
    assert seen_headers(answer)["x-request-id"] == [made]


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_no_length(suite: Suite, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"ETag": '"x"'})

    suite.kb.answers[DOWNLOAD] = answer
    for _ in range(2):  # the connection stays usable
        got = await suite.client.get(DOWNLOAD, headers=GOOD)
        assert (got.status_code, got.content, got.headers["etag"]) == (status, b"", '"x"')
        assert not {"content-length", "transfer-encoding"} & set(got.headers)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_length_of_no_body_is_dropped(start: Start, status: int) -> None:
    """A 304 may name the length that the whole answer would have had."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = b'HTTP/1.1 %d X\r\nContent-Length: 1234\r\nETag: "x"\r\nConnection: close\r\n\r\n'
        writer.write(answer % status)

    async with scripted(script) as url:
        suite = await start(kb_url=url)
        for _ in range(2):
            got = await suite.client.get(DOWNLOAD, headers=GOOD)
            assert (got.status_code, got.content, got.headers["etag"]) == (status, b"", '"x"')
            assert "content-length" not in got.headers


async def test_head_answers_with_the_length_and_no_body(suite: Suite) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1234)

    suite.kb.answers[DOWNLOAD] = answer
    for _ in range(2):
        got = await suite.client.head(DOWNLOAD, headers=GOOD)
        assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "1234")


async def test_services_are_asked_with_get_for_a_head(suite: Suite) -> None:
    """FastAPI's routes answer 405 to a HEAD."""
    for path in ("/user/info", "/api/session/list"):
        assert (await suite.client.head(path, headers=GOOD)).status_code == 200
    assert [request.method for request in (*suite.auth.requests, *suite.session.requests)] == [
        "POST",  # who is it?
        "GET",
        "GET",
    ]


async def test_compressed_bodies_pass_untouched(suite: Suite) -> None:
    packed = gzip.compress(b"hello " * 100)

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "gzip"
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    suite.kb.answers[DOWNLOAD] = answer
    request = suite.client.build_request(
        "GET", DOWNLOAD, headers=GOOD | {"Accept-Encoding": "gzip"}
    )
    got = await suite.client.send(request, stream=True)
    assert b"".join([part async for part in got.aiter_raw()]) == packed
    assert got.headers["content-length"] == str(len(packed))


async def test_nothing_is_asked_for_that_the_client_did_not_ask(suite: Suite) -> None:
    request = (
        b"GET /session/list HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\nConnection: close\r\n\r\n"
    )
    await exchange(suite, request)
    seen = {name.lower() for name in suite.session.requests[0].headers}
    assert not {"accept", "accept-encoding", "user-agent", "content-type"} & seen


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000])
async def test_downloads_of_any_size_arrive_whole(suite: Suite, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body[:size])

    suite.kb.answers[DOWNLOAD] = answer
    got = await suite.client.get(DOWNLOAD, headers=GOOD)
    assert got.content == body[:size]
    assert got.headers["content-length"] == str(size)


async def test_redirects_are_the_clients_to_follow(suite: Suite) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/sso?token=x", "Set-Cookie": "s=1"})

    suite.auth.answers["/sso"] = answer
    got = await suite.client.get("/api/sso?client=0&secret=s")
    assert (got.status_code, got.headers["location"]) == (307, "/sso?token=x")
    assert got.headers["set-cookie"] == "s=1"
    assert suite.auth.questions == []


async def test_uploads_arrive_whole_with_their_length(suite: Suite) -> None:
    body = b"0123456789abcdef" * 200_000
    answer = await suite.client.post("/knowledge_base/search_docs", content=body, headers=GOOD)
    assert answer.json()["body"].encode("latin-1") == body
    assert seen_headers(answer)["content-length"] == [str(len(body))]


async def test_uploads_of_unknown_length_arrive_chunked(suite: Suite) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(50):
            yield b"%04d" % number * 1000

    answer = await suite.client.post("/knowledge_base/search_docs", content=parts(), headers=GOOD)
    assert answer.json()["body"] == "".join(f"{number:04d}" * 1000 for number in range(50))
    headers = seen_headers(answer)
    assert headers["transfer-encoding"] == ["chunked"]
    assert "content-length" not in headers


_TOO_LONG = (4 << 20) + 1


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: %d\r\n\r\n" % _TOO_LONG,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % _TOO_LONG + bytes(_TOO_LONG),
    ],
    ids=["announced", "chunked"],
)
async def test_a_body_without_end_is_cut_off(suite: Suite, rest: bytes) -> None:
    """Services hold JSON in memory, several times over."""
    answer = await exchange(
        suite, b"POST /session/save HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\n" + rest
    )
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer
    assert answer.endswith('{"detail":"The request\'s body is too large. 请求内容过大。"}'.encode())
    assert (await suite.client.get("/session/list", headers=GOOD)).status_code == 200


async def test_uploads_have_no_end_here(suite: Suite) -> None:
    suite.auth.knows("writer", scopes=("kb:write",))
    headers = {"Api-Token": "writer"}
    path = "/knowledge_base/upload_docs"
    answer = await suite.client.post(path, content=bytes(40 << 20), headers=headers)
    assert answer.status_code == 200


async def test_a_post_without_a_body_says_so(suite: Suite) -> None:
    answer = await suite.client.post("/server/configs", headers=GOOD)
    assert seen_headers(answer)["content-length"] == ["0"]


async def test_a_client_that_waits_for_100_continue_gets_it(suite: Suite) -> None:
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"POST /session/save HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\nContent-Length: 5\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"body": "hello"' in answer
    assert "Expect" not in suite.session.requests[0].headers


async def test_a_refused_upload_is_refused_before_its_body(suite: Suite) -> None:
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"POST /session/save HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401")


async def test_an_upload_that_the_service_refuses_early_gets_its_answer(suite: Suite) -> None:
    suite.auth.knows("writer", scopes=("kb:write",))

    async def too_large(request: web.Request) -> web.Response:
        await request.content.readexactly(100_000)
        return web.json_response({"detail": "too large"}, status=413)

    suite.kb.answers["/knowledge_base/upload_docs"] = too_large
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(
        b"POST /knowledge_base/upload_docs HTTP/1.1\r\nHost: x\r\nApi-Token: writer\r\n"
        b"Content-Length: 200000000\r\n\r\n"
    )
    for _ in range(4):
        writer.write(b"x" * 50_000)
        await writer.drain()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    assert await reader.readexactly(23) == b'{"detail": "too large"}'
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"POST /session/save HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        b"POST /session/save HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n",
        b"GET /session/list HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n",
        b"GET /session/list HTTP/9.9\r\nHost: x\r\n",
        b"NONSENSE\r\n",
    ],
)
async def test_bad_framing_is_refused(suite: Suite, head: bytes) -> None:
    answer = await exchange(suite, head + b"Api-Token: good\r\nConnection: close\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 400")
    assert not suite.session.requests


async def test_an_enormous_head_is_refused(suite: Suite) -> None:
    answer = await suite.client.get(SESSIONS, headers=GOOD | {"X-Big": "x" * 70_000})
    assert answer.status_code == 431
    answer = await suite.client.get(SESSIONS, headers={"Api-Token": "x" * 5000})
    assert (answer.status_code, answer.text) == (401, "Authentication required: Api-Token无效!")
    assert suite.auth.questions == []


@pytest.mark.parametrize(
    "query", [b"a=\xe7\x9f\xa5", b"a=%zz&b=[1]&c={}|^`", b"a=%00", b"?a=b?c", b"a=<'\">"]
)
async def test_odd_queries_pass_and_never_break_anything(suite: Suite, query: bytes) -> None:
    answer = await exchange(
        suite,
        b"GET /session/list?" + query + b" HTTP/1.1\r\nHost: x\r\nApi-Token: good\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert answer.split()[1] in (b"200", b"400")


async def test_a_service_that_is_away_is_503(suite: Suite) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    suite.session.answers["/session/save"] = hang_up
    answer = await suite.client.post("/session/save", headers=GOOD, json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == {
        "detail": "session_service is not available. 服务暂不可用，请稍后再试。"
    }


async def test_a_service_that_nobody_listens_for_is_503(start: Start, free_port: int) -> None:
    suite = await start(session_url=f"http://127.0.0.1:{free_port}")
    answer = await suite.client.get(SESSIONS, headers=GOOD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_every_route_is_forwarded_to_its_service(suite: Suite) -> None:
    suite.auth.knows("all", scopes=("chat", "kb:read", "kb:write", "admin"))
    services = {
        "auth_service": suite.auth,
        "session_service": suite.session,
        "kb_service": suite.kb,
        "chat_service": suite.chat,
    }
    for route in ROUTES:
        path = an_address_of(route)
        for prefix in ("", "/api"):
            answer = await suite.client.request(
                route.method, prefix + path, headers={"Api-Token": "all"}
            )
            assert answer.json()["path"] == path
            last = services[route.upstream].requests[-1]
            assert (last.method, last.path) == (route.method, path)
