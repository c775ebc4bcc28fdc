"""Dense vectors from an endpoint on a real socket, which can fail in every way."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kb_service.embeddings import Embedded, Prefixes
from kb_service.embeddings.endpoint import OpenAIEmbedder
from kb_service.embeddings.probes import CHINESE, ENGLISH
from kb_service.settings import KbSettings
from servicekit.errors import UpstreamError
from tests.kb_service.conftest import connected

Make = Callable[..., KbSettings]
LEAVE = ("a.txt", "员工每年享有十天带薪年假。".encode())
TRAVEL = ("b.txt", "出差住宿标准为每晚五百元。".encode())


@dataclass
class Endpoint:
    """Counts as a vector how often each of a few words occurs; `script` holds other answers.

    It also knows which questions and passages belong together that models are measured with.
    """

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    script: list[tuple[int, Any]] = field(default_factory=list)
    size: int = 16
    most: int = 1_000
    longest: int = 1_000_000
    retry_after: str = "0"

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("authorization"))
        if self.script:
            status, content = self.script.pop(0)
            text = content if isinstance(content, str) else json.dumps(content)
            return Response(text, status, {"Retry-After": self.retry_after})
        if len(body["input"]) > self.most:
            return Response("batch size is invalid, it should not be larger than 10", 400)
        if any(len(text) > self.longest for text in body["input"]):
            return Response("too long", 413)
        data = [
            {"index": number, "embedding": self.vector(text)}
            for number, text in enumerate(body["input"])
        ]
        return Response(json.dumps({"data": data[::-1]}))  # out of order on purpose

    def vector(self, text: str) -> list[float]:
        digest = hashlib.sha256(text.encode()).digest()
        meaning = [float(any(word in text for word in words)) * 10 for words in MEANINGS]
        if text in PROBES:
            return [*meaning, *(float(n == PROBES[text] % 12) for n in range(self.size - 2))]
        return [*meaning, *(byte / 255 for byte in digest)][: self.size]


PROBES = {text: n for n, pair in enumerate([*ENGLISH, *CHINESE]) for text in pair}
MEANINGS = (("年假", "休息", "假期"), ("出差", "住宿", "酒店"))


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = Starlette(routes=[Route("/v1/embeddings", endpoint.answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done()
    port = server.servers[0].sockets[0].getsockname()[1]
    endpoint.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield endpoint
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as one:
        yield one


@asynccontextmanager
async def embedder_of(endpoint: Endpoint, key: str = "k") -> AsyncIterator[OpenAIEmbedder]:
    embedder = OpenAIEmbedder(base_url=endpoint.url + "/", api_key=key, model="m", pause=0)
    try:
        yield embedder
    finally:
        await embedder.close()


async def test_batches_in_order_with_the_key(endpoint: Endpoint) -> None:
    texts = [f"第{number}段" for number in range(150)]
    async with embedder_of(endpoint) as embedder:
        assert (await embedder.embed(texts)).vectors == [endpoint.vector(text) for text in texts]
        assert embedder.size == 16
        assert await embedder.embed([]) == Embedded([])
    assert sorted(len(request["input"]) for request in endpoint.requests) == [22, 64, 64]
    assert {request["model"] for request in endpoint.requests} == {"m"}
    assert set(endpoint.keys) == {"Bearer k"}


async def test_no_key_sends_no_header(endpoint: Endpoint) -> None:
    async with embedder_of(endpoint, key="") as embedder:
        await embedder.embed(["x"])
    assert endpoint.keys == [None]


async def test_what_may_pass_is_tried_again(endpoint: Endpoint) -> None:
    endpoint.script = [(429, "slow down"), (500, "oops")]
    async with embedder_of(endpoint) as embedder:
        assert len((await embedder.embed(["x"])).vectors) == 1
    assert len(endpoint.requests) == 3


async def test_a_rate_limit_is_waited_for_by_all(endpoint: Endpoint) -> None:
    endpoint.script = [(429, "slow down")]
    endpoint.retry_after = "0.2"
    async with embedder_of(endpoint) as embedder:
        began = time.monotonic()
        await embedder.embed(["x"])
        assert time.monotonic() - began >= 0.2
        endpoint.script = [(429, "slow down")]
        endpoint.retry_after = "30"
        waiting = asyncio.create_task(embedder.embed(["x"]))
        async with asyncio.timeout(5):
            while True:
                await asyncio.sleep(0.01)
                if not embedder.is_ready:
                    break
        before = len(endpoint.requests)
        others = asyncio.create_task(embedder.embed(["y"]))
        assert len(await embedder.embed_query("z")) == endpoint.size, "a person waits for it"
        assert len(endpoint.requests) == before + 1, "what is indexed waits"
        for task in (waiting, others):
            task.cancel()
        await asyncio.gather(waiting, others, return_exceptions=True)


async def test_a_vendors_largest_batch_is_learned(endpoint: Endpoint) -> None:
    endpoint.most = 10
    texts = [f"第{number}段" for number in range(40)]
    async with embedder_of(endpoint) as embedder:
        expected = [endpoint.vector(text) for text in texts]
        assert (await embedder.embed(texts)).vectors == expected
        endpoint.requests.clear()
        assert (await embedder.embed(texts)).vectors == expected
    assert [len(request["input"]) for request in endpoint.requests] == [10] * 4


async def test_a_text_that_is_too_long_is_cut_and_said_so(endpoint: Endpoint) -> None:
    endpoint.longest = 100
    texts = ["短", "长" * 350, "也短"]
    async with embedder_of(endpoint) as embedder:
        embedded = await embedder.embed(texts)
        assert embedded.cut == {1}
        cut = "长" * (350 // 2 // 2)
        assert embedded.vectors == [endpoint.vector(text) for text in ("短", cut, "也短")]
        endpoint.requests.clear()
        await embedder.embed(["短"] * 60)
        assert len(endpoint.requests) == 1, "batches are as large as before"
        endpoint.longest = 0
        with pytest.raises(UpstreamError, match="HTTP 413"):
            await embedder.embed(["短"])


async def test_large_texts_make_small_batches(endpoint: Endpoint) -> None:
    async with embedder_of(endpoint) as embedder:
        await embedder.embed(["长" * 10_000] * 5)
    assert sorted(len(request["input"]) for request in endpoint.requests) == [1, 2, 2]


async def test_prefixes_are_put_before_texts(endpoint: Endpoint) -> None:
    prefixes = Prefixes("query: ", "passage: ")
    embedder = OpenAIEmbedder(base_url=endpoint.url, api_key="", model="m", prefixes=prefixes)
    await embedder.embed(["a"])
    await embedder.embed_query("b")
    await embedder.close()
    assert [request["input"] for request in endpoint.requests] == [["passage: a"], ["query: b"]]


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        ([(401, "bad key sk-123")], 1),
        ([(500, ""), (502, ""), (503, ""), (500, ""), (500, "")], 5),
        ([(200, "not json")], 1),
        ([(200, {"data": "x"})], 1),
        ([(200, {"data": []})], 1),
        ([(200, {"data": [{"index": 0, "embedding": []}]})], 1),
        ([(200, {"data": [{"index": 0, "embedding": ["x"]}]})], 1),
        ([(200, {"error": {"message": "sk-123"}})], 1),
    ],
)
async def test_failures_are_one_sentence_without_secrets(
    endpoint: Endpoint, script: list[tuple[int, Any]], requests: int
) -> None:
    endpoint.script = script
    async with embedder_of(endpoint) as embedder:
        with pytest.raises(UpstreamError, match="文本向量化过程中出现错误") as failure:
            await embedder.embed(["x"])
    assert "sk-123" not in str(failure.value)
    assert len(endpoint.requests) == requests


async def test_vectors_of_another_length_are_refused(endpoint: Endpoint) -> None:
    async with embedder_of(endpoint) as embedder:
        await embedder.embed(["x"])
        endpoint.size = 4
        with pytest.raises(UpstreamError, match="length 4, expected 16"):
            await embedder.embed(["x"])


async def test_an_endpoint_that_is_away(endpoint: Endpoint) -> None:
    endpoint.url = "http://127.0.0.1:9/v1"
    async with embedder_of(endpoint) as embedder:
        with pytest.raises(UpstreamError, match="ConnectError"):
            await embedder.embed(["x"])


def configured(endpoint: Endpoint, model: str = "m") -> dict[str, str]:
    return {"embedding_api_base_url": endpoint.url, "embedding_api_model": model}


async def test_search_finds_by_meaning(make_settings: Make, endpoint: Endpoint) -> None:
    settings = make_settings(**configured(endpoint))
    async with connected(settings) as kb:
        await kb.create()
        assert await kb.uploaded(LEAVE, TRAVEL) == {}
        first = (await kb.search("想休息几天"))[0]
        assert first["metadata"]["source"] == "a.txt"
        assert (await kb.search("酒店"))[0]["metadata"]["source"] == "b.txt"
    before = len(endpoint.requests)
    async with connected(settings) as kb:  # the length of the vectors is known from before
        assert len(endpoint.requests) == before
        assert (await kb.search("酒店"))[0]["metadata"]["source"] == "b.txt"


async def test_a_file_that_cannot_be_embedded_has_a_reason(
    make_settings: Make, endpoint: Endpoint
) -> None:
    endpoint.script = [(401, "no")]
    async with connected(make_settings(**configured(endpoint))) as kb:
        await kb.create()
        failed = await kb.uploaded(LEAVE)
        assert failed["a.txt"].startswith("从文件 kb1/a.txt 加载文档时出错：")
        assert "文本向量化过程中出现错误" in failed["a.txt"]
        assert await kb.files() == []
        assert await kb.uploaded(LEAVE) == {}


def test_half_an_endpoint_stops_the_start(make_settings: Make) -> None:
    with pytest.raises(ValueError, match="BASE_URL and MODEL"):
        make_settings(embedding_api_base_url="http://x/v1")
