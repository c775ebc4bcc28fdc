"""OpenAI's own clients and LangChain's against `/v1` of the whole product."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from tests.e2e.conftest import Scripted
from tests.fakes.vendor import END, chunks, data, event, tokens, tool_calls
from tests.programs import program

MODEL, KB = "custom-api", "kb:openai-clients"
HELLO: Any = [{"role": "user", "content": "年假有几天？"}]
NODE = Path(__file__).parent / "node"
LIMIT: Any = {"type": "function", "function": {"name": "limit", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
async def key(scripted: Scripted) -> str:
    """One that may chat and read, of an app that was registered for it."""
    for name, text in (("openai-clients", "员工入职满一年，年假有五天。"), ("other", "茶在三楼")):
        await scripted.knowledge_base(name, **{"手册": text})
    owner = await anyio.to_thread.run_sync(scripted.stack.add_client, "openai-clients")
    return await scripted.api_key("chat", "kb:read", client_id=int(owner.id))


@pytest.fixture
async def sdk(scripted: Scripted, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with _sdk(scripted, key) as client:
        yield client


def _sdk(scripted: Scripted, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{scripted.stack.url}/v1", api_key=key, max_retries=0)


async def test_a_stream_is_counted_and_kept(scripted: Scripted, sdk: openai.AsyncOpenAI) -> None:
    used = data({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
    scripted.vendor.then(chunks([event("五"), event("天"), END[0], used, END[1]]))
    session = "a" * 32
    raw = await sdk.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
        metadata={"session_id": session},
        extra_headers={"X-Request-Id": "asked-in-python"},
    )
    assert raw.request_id == "asked-in-python"
    got = [chunk async for chunk in raw.parse()]
    assert "".join(c.choices[0].delta.content or "" for c in got if c.choices) == "五天"
    assert got[-1].usage is not None
    assert got[-1].usage.total_tokens == 9
    headers = {"Authorization": f"Bearer {sdk.api_key}"}
    asked = {"session_id": session, "num": 1}
    kept = await scripted.client.post("/history/latest", json=asked, headers=headers)
    (turn,) = kept.json()["data"]
    assert (turn["query"], turn["response"]) == ("年假有几天？", "五天")


async def test_tools_pass_through(scripted: Scripted, sdk: openai.AsyncOpenAI) -> None:
    scripted.vendor.then(tool_calls(("limit", {"city": "上海"})), tokens(["五百元"]))
    first = await sdk.chat.completions.create(model=MODEL, messages=HELLO, tools=[LIMIT])
    (called,) = first.choices[0].message.tool_calls or []
    assert called.type == "function"
    assert json.loads(called.function.arguments) == {"city": "上海"}
    result = {"role": "tool", "tool_call_id": called.id, "content": "500"}
    said: Any = [*HELLO, first.choices[0].message.model_dump(exclude_none=True), result]
    second = await sdk.chat.completions.create(model=MODEL, messages=said, tools=[LIMIT])
    assert second.choices[0].message.content == "五百元"
    assert scripted.vendor.requests[-1].body["messages"][2] == result


async def test_a_knowledge_base_is_a_model(scripted: Scripted, sdk: openai.AsyncOpenAI) -> None:
    scripted.vendor.then(tokens(["五天 ", "[1]"]))
    answer = await sdk.chat.completions.create(model=KB, messages=HELLO)
    text = answer.choices[0].message.content or ""
    assert text.startswith("五天 [1]\n\n---\n[1] [手册.txt](")
    (cited,) = (answer.model_extra or {})["citations"]
    assert (cited["number"], "年假有五天" in cited["content"]) == (1, True)
    assert "年假有五天" in scripted.vendor.requests[-1].body["messages"][-1]["content"]


async def test_vectors(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.embeddings.create(model="lengths", input=["年假", "abc"])
    assert [row.embedding for row in made.data] == [[1.0, 2.0], [1.0, 3.0]]
    with pytest.raises(openai.NotFoundError, match="available: lengths") as refused:
        await sdk.embeddings.create(model="text-embedding-3-small", input="x")
    assert refused.value.code == "model_not_found"


async def test_errors_are_openais(scripted: Scripted, sdk: openai.AsyncOpenAI) -> None:
    for model in ("gpt-nothing", "kb:nothing"):
        with pytest.raises(openai.NotFoundError) as unknown:
            await sdk.chat.completions.create(model=model, messages=HELLO)
        assert (unknown.value.code, bool(unknown.value.request_id)) == ("model_not_found", True)
    async with _sdk(scripted, "c2l-no-such-key") as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()
        assert refused.value.type == "authentication_error"
    async with _sdk(scripted, await scripted.api_key("kb:read")) as reader:
        with pytest.raises(openai.PermissionDeniedError):
            await reader.chat.completions.create(model=MODEL, messages=HELLO)
    with pytest.raises(openai.BadRequestError):
        await sdk.chat.completions.create(model=MODEL, messages=[])


async def test_a_confined_key_sees_its_knowledge_bases_only(
    scripted: Scripted, sdk: openai.AsyncOpenAI
) -> None:
    listed = {model.id async for model in sdk.models.list()}
    assert {MODEL, KB, "kb:other"} <= listed
    key = await scripted.api_key("chat", "kb:read", knowledge_bases=["other"])
    async with _sdk(scripted, key) as confined:
        listed = {model.id async for model in confined.models.list()}
        assert {name for name in listed if name.startswith("kb:")} == {"kb:other"}
        with pytest.raises(openai.NotFoundError):
            await confined.chat.completions.create(model=KB, messages=HELLO)


async def test_langchain(scripted: Scripted, key: str) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        settings: dict[str, Any] = {
            "base_url": f"{scripted.stack.url}/v1",
            "api_key": SecretStr(key),
            "http_async_client": http,
            "max_retries": 0,
        }
        await _langchain(scripted, settings)


async def _langchain(scripted: Scripted, settings: dict[str, Any]) -> None:
    model = ChatOpenAI(model=MODEL, **settings)
    scripted.vendor.then(tokens(["五", "天"]), tool_calls(("limit", {"city": "上海"})))
    assert "".join([str(part.content) async for part in model.astream("年假有几天？")]) == "五天"
    called = await model.bind_tools([LIMIT]).ainvoke("差旅？")
    assert called.tool_calls[0]["args"] == {"city": "上海"}
    scripted.vendor.then(tokens(["五天 [1]"]))
    answer = await ChatOpenAI(model=KB, **settings).ainvoke("年假有几天？")
    assert "[手册.txt](" in str(answer.content)
    embeddings = OpenAIEmbeddings(model="lengths", check_embedding_ctx_length=False, **settings)
    assert await embeddings.aembed_documents(["年假", "abc"]) == [[1.0, 2.0], [1.0, 3.0]]


async def test_openais_client_for_node(scripted: Scripted, key: str) -> None:
    scripted.vendor.then(
        tokens(["五", "天"]), tool_calls(("limit", {"city": "上海"})), tokens(["五天 [1]"])
    )
    told = await anyio.to_thread.run_sync(_node, scripted.stack.url, key)
    assert told == {
        "models": [MODEL, KB],
        "streamed": "五天",
        "usage": True,
        "requestId": "asked-in-node",
        "tool": {"city": "上海"},
        "cited": ["手册.txt"],
        "vectors": [[1, 2], [1, 3]],
        "unknown": "model_not_found",
        "stranger": "AuthenticationError",
    }


def _node(url: str, key: str) -> Mapping[str, Any]:
    node = program("node")
    if not (NODE / "node_modules").is_dir():
        reason = "tests/e2e/node is not installed: `npm ci` there, or `make check` with npm"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    environment = os.environ | {"BASE_URL": f"{url}/v1", "API_KEY": key, "MODEL": MODEL, "KB": KB}
    done = subprocess.run(
        [node, str(NODE / "client.mjs")],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told: Mapping[str, Any] = json.loads(done.stdout)
    return told
