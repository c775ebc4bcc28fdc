"""What deploy/nginx.conf does with requests, bodies and streams, in front of a scripted gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.front import nginx_in_front
from tests.serving import served

HTML = {"Accept": "text/html,application/xhtml+xml"}
POLICY = "frame-ancestors 'self' https://intranet.example"
OBJECT = json.dumps({"docs": ["出处" * 1300]}, ensure_ascii=False).encode()  # just below 8 KiB


class Gateway:
    """Shows what reached it; `/api/stream` sends two objects, the second when the test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.first_part = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/api/stream":
            await self._stream(send)
            return
        message: Message = await receive()
        self.first_part.set()
        size = len(message["body"])
        while message.get("more_body"):
            message = await receive()
            size += len(message["body"])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        raw = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        body = json.dumps({"by": "gateway", "raw": raw, "size": size, "headers": headers}).encode()
        await _start(send, b"application/json")
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Send) -> None:
        await _start(send, b"text/event-stream")
        await send({"type": "http.response.body", "body": OBJECT, "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": OBJECT})


async def _start(send: Send, content_type: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def front(gateway: Gateway, tmp_path: Path) -> AsyncIterator[str]:
    async with served(gateway) as url:
        with nginx_in_front(url, tmp_path / "nginx") as front:
            yield front


@pytest.fixture
async def client(front: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=front, timeout=20) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/api/a%2Fb?name=%2e%2e%2f",
        "/api/%252e%252e/x?",
        "/api//twice//?",
        "/knowledge_base/download_doc?file_name=%E6%96%87+a%26b.txt",
        "/a%20b?x=%",
    ],
)
async def test_paths_and_queries_pass_as_they_came(front: str, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(front.rpartition(":")[2]))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()

    assert json.loads(answer.partition(b"\r\n\r\n")[2].split(b"\r\n")[1])["raw"] == path


async def test_the_gateway_learns_host_and_client_but_no_forged_address(
    client: httpx.AsyncClient,
) -> None:
    forged = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Host": "evil", "Host": "chat.example:81"}
    headers = (await client.get("/api/x", headers=forged)).json()["headers"]

    assert headers["host"] == "chat.example:81"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers.get("x-forwarded-host", "") == ""


async def test_a_proxy_in_front_may_have_ended_tls(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/x", headers={"X-Forwarded-Proto": "https"})
    assert answer.json()["headers"]["x-forwarded-proto"] == "https"


async def test_streams_pass_object_by_object_and_at_once(front: str, gateway: Gateway) -> None:
    """Each network read that a browser makes must hold whole objects (contract 6.4)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(front.rpartition(":")[2]))
    writer.write(b"POST /api/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        chunks = [await _chunk(reader)]
        gateway.go_on.set()
        chunks.append(await _chunk(reader))
    writer.close()

    assert b"200" in head.split(b"\r\n")[0]
    assert chunks == [OBJECT, OBJECT]


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await reader.readuntil(b"\r\n"), 16)
    chunk = await reader.readexactly(size)
    await reader.readexactly(2)
    return chunk


async def test_nothing_is_compressed(client: httpx.AsyncClient, gateway: Gateway) -> None:
    gateway.go_on.set()
    answer = await client.post("/api/stream", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.content == OBJECT * 2


async def test_uploads_pass_while_they_come_and_may_be_large(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 70_000
        await asyncio.wait_for(gateway.first_part.wait(), 20)  # the gateway has it already
        for _ in range(30):
            yield b"x" * 1_000_000

    answer = await client.post("/api/upload", content=body())
    assert answer.json()["size"] == 30_070_000


async def test_the_log_holds_no_query(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await client.get("/sso?token=a-secret-token")
    await client.get("/api/sso?client=0&secret=a-secret-secret")
    log = tmp_path / "nginx" / "access.log"

    assert "/api/sso" in log.read_text()
    assert "a-secret" not in log.read_text() + (tmp_path / "nginx" / "error.log").read_text()


async def test_without_an_h5_everything_is_the_gateway_s(client: httpx.AsyncClient) -> None:
    for path in ("/", "/home", "/docs", "/assets/index.js", "/welcome", "/401", "/sso"):
        assert (await client.get(path, headers=HTML)).json()["by"] == "gateway", path


@pytest.fixture
async def h5(gateway: Gateway, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A front with a built H5 in its folder."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("the page")
    (dist / "assets" / "index-1.js").write_text("the script")
    (dist / "logo.svg").write_text("<svg/>")
    async with served(gateway) as url:
        with nginx_in_front(url, tmp_path / "nginx", h5=dist) as front:
            async with httpx.AsyncClient(base_url=front, timeout=20) as client:
                yield client


@pytest.mark.parametrize(
    "path", ["/", "/home", "/chat/0123", "/401", "/home?a=b", "/index.html", "/assets/x.HTM?a"]
)
async def test_pages_of_the_h5_come_from_the_gateway(h5: httpx.AsyncClient, path: str) -> None:
    """It has the H5 too, and says whose pages may frame it: the clients' origins."""
    answer = await h5.get(path, headers=HTML)

    assert answer.json()["raw"].removesuffix("?") == path
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize("path", ["/assets/index-1.js", "/logo.svg"])
async def test_files_of_the_h5_are_what_they_say_and_in_nobodys_frame(
    h5: httpx.AsyncClient, path: str
) -> None:
    for forwarded, kept_to_tls in (("http", None), ("https", "max-age=31536000")):
        answer = await h5.get(path, headers={"X-Forwarded-Proto": forwarded})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
        assert answer.headers.get("strict-transport-security") == kept_to_tls


async def test_files_of_the_h5(h5: httpx.AsyncClient) -> None:
    script = await h5.get("/assets/index-1.js")
    logo = await h5.get("/logo.svg")

    assert script.text == "the script"
    assert "immutable" in script.headers["cache-control"]
    assert "javascript" in script.headers["content-type"]
    assert logo.headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/docs"),
        ("GET", "/sso?token=t"),
        ("GET", "/api/sso?client=0"),
        ("GET", "/api/anything"),
        ("GET", "/openapi.json"),
        ("GET", "/openapi/kb_service.json"),
        ("POST", "/chat/chat"),
        ("POST", "/"),
        ("GET", "/static-gateway/x.js"),
    ],
)
async def test_with_an_h5_the_api_is_still_the_gateway_s(
    h5: httpx.AsyncClient, method: str, path: str
) -> None:
    assert (await h5.request(method, path, headers=HTML)).json()["by"] == "gateway"


@pytest.mark.parametrize("path", ["/user/info", "/assets/missing.js", "/missing.png"])
async def test_what_no_page_asks_for_is_the_gateway_s(h5: httpx.AsyncClient, path: str) -> None:
    assert (await h5.get(path)).json()["by"] == "gateway"
