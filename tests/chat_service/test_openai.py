"""OpenAI's official client against `/v1`, and what it cannot see in the bytes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.chat_service.conftest import SESSION_ID, Chat, StartChat, caller_header, until
from tests.chat_service.standins import KbStandIn, SessionStandIn
from tests.fakes.vendor import END, VendorServer, chunks, data, event, hang, status, tokens

HELLO: Any = [{"role": "user", "content": "你好"}]


@pytest.fixture
async def client(chat: Chat) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(chat) as client:
        yield client


def openai_client(chat: Chat) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=str(chat.client.base_url.join("/v1")),
        api_key="the gateway's business",
        default_headers=caller_header(),
        max_retries=0,
    )


async def streamed(client: openai.AsyncOpenAI, **asked: Any) -> list[Any]:
    body: dict[str, Any] = {"model": "custom-api", "messages": HELLO, "stream": True}
    stream = await client.chat.completions.create(**body | asked)
    return [chunk async for chunk in stream]


async def test_models_are_listed_with_knowledge_bases(client: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert {"custom-api", "offline", "kb:kb1"} <= set(listed)
    assert (await client.models.retrieve("kb:kb1")).id == "kb:kb1"
    for name in ("kb:other", "gpt-nothing"):
        with pytest.raises(openai.NotFoundError) as missing:
            await client.models.retrieve(name)
        assert missing.value.code == "model_not_found"


async def test_a_stream_with_usage(client: openai.AsyncOpenAI, vendor: VendorServer) -> None:
    usage = data({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
    vendor.then(chunks([event("你"), event("好"), END[0], usage, END[1]]))
    got = await streamed(
        client, stream_options={"include_usage": True}, temperature=0.3, stop=["x"], max_tokens=9
    )
    assert "".join(c.choices[0].delta.content or "" for c in got if c.choices) == "你好"
    assert got[0].choices[0].delta.role == "assistant"
    assert {c.model for c in got} == {"custom-api"}
    assert len({c.id for c in got}) == 1
    assert [c.choices[0].finish_reason for c in got if c.choices][-1] == "stop"
    assert (got[-1].usage.prompt_tokens, got[-1].usage.total_tokens) == (7, 9)
    sent = vendor.requests[0].body
    assert (sent["temperature"], sent["stop"], sent["max_tokens"]) == (0.3, ["x"], 9)
    assert sent["messages"] == HELLO


async def test_a_whole_answer(client: openai.AsyncOpenAI, vendor: VendorServer) -> None:
    vendor.then(tokens(["你", "好"]))
    answer = await client.chat.completions.create(model="custom-api", messages=HELLO)
    assert answer.choices[0].message.content == "你好"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0  # this vendor counts none: our estimate


async def test_tools_pass_through(client: openai.AsyncOpenAI, vendor: VendorServer) -> None:
    def call(**function: str) -> bytes:
        delta = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}
        return event(None, delta=delta)

    script = [call(name="weather", arguments='{"city":'), call(arguments=' "北京"}')]
    made_calls = chunks([*script, event(None, finish_reason="tool_calls"), END[1]])
    vendor.then(made_calls, made_calls)
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    conversation = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c0", "type": "function"}]},
        {"role": "tool", "tool_call_id": "c0", "content": "晴"},
    ]
    got = await streamed(client, messages=conversation, tools=[tool])
    names = [d.function.name for c in got for d in c.choices[0].delta.tool_calls or []]
    assert names[0] == "weather"
    assert got[-1].choices[0].finish_reason == "tool_calls"
    sent = vendor.requests[0].body
    assert (sent["messages"], sent["tools"]) == (conversation, [tool])
    asked: Any = {"model": "custom-api", "messages": conversation, "tools": [tool]}
    whole = await client.chat.completions.create(**asked)
    assert [
        json.loads(made.function.arguments) for made in whole.choices[0].message.tool_calls
    ] == [{"city": "北京"}]


async def test_thoughts_stay_apart(client: openai.AsyncOpenAI, vendor: VendorServer) -> None:
    vendor.then(chunks([event(None, delta={"reasoning_content": "想"}), event("好"), *END]))
    got = await streamed(client)
    deltas = [c.choices[0].delta for c in got]
    assert "".join(d.content or "" for d in deltas) == "好"
    assert "".join((d.model_extra or {}).get("reasoning_content", "") for d in deltas) == "想"


async def test_a_knowledge_base_is_a_model(
    client: openai.AsyncOpenAI, vendor: VendorServer, kb: KbStandIn, sessions: SessionStandIn
) -> None:
    kb.hold("年假五天。")
    vendor.then(tokens(["五天", " [1]"]))
    got = await streamed(client, model="kb:kb1")
    text = "".join(c.choices[0].delta.content or "" for c in got)
    assert text.startswith("五天 [1]\n\n---\n[1] [手册 (1).md](http://")
    (cited,) = got[-1].model_extra["citations"]
    assert (cited["number"], cited["content"]) == (1, "年假五天。")
    assert "年假五天" in json.dumps(vendor.requests[0].body, ensure_ascii=False)
    assert not sessions.turns  # nobody asked to keep it


@pytest.mark.parametrize("model", ["custom-api", "kb:kb1", "offline"])
async def test_a_conversation_is_kept_where_asked(
    client: openai.AsyncOpenAI, kb: KbStandIn, sessions: SessionStandIn, model: str
) -> None:
    kb.hold("年假五天。")
    await streamed(client, model=model, metadata={"session_id": SESSION_ID})
    turn = sessions.turn
    assert (turn.session_id, turn.query, turn.state) == (SESSION_ID, "你好", "done")
    assert turn.response


@pytest.mark.parametrize("model", ["custom-api", "kb:kb1"])
@pytest.mark.parametrize("content", ['"x\\ud83d"', '[{"type": "text", "text": "x\\ud83d"}]'])
async def test_half_a_character_is_no_obstacle(
    content: str, model: str, chat: Chat, vendor: VendorServer
) -> None:
    vendor.then(tokens(["好"]))
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": {content}}}]}}'
    answer = await chat.client.post(
        "/v1/chat/completions", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.json()["choices"][0]["message"]["content"].startswith("好")
    assert "x\ufffd" in str(vendor.requests[0].body["messages"])


async def test_errors_have_openais_body(
    client: openai.AsyncOpenAI, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await streamed(client, model="gpt-nothing")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        await streamed(client, temperature=9)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError):
        await streamed(client, model="kb:kb1", messages=[{"role": "assistant", "content": "?"}])
    vendor.then(status(429, Retry_After="30"))
    with pytest.raises(openai.RateLimitError) as busy:
        await streamed(client, metadata={"session_id": SESSION_ID})
    assert busy.value.response.headers["retry-after"] == "30"
    assert sessions.turn.state == "failed"


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded"])
async def test_what_another_try_would_not_help_is_the_clients_error(
    client: openai.AsyncOpenAI, vendor: VendorServer, code: str
) -> None:
    vendor.then(status(400, {"error": {"code": code, "message": "no"}}))
    with pytest.raises(openai.BadRequestError) as refused:
        await streamed(client)
    assert refused.value.code == code


async def refusal(client: openai.AsyncOpenAI, *, stream: bool) -> openai.APIStatusError:
    """What a knowledge base's model answers instead of an answer that is kept."""
    asked: Any = {"metadata": {"session_id": SESSION_ID}, "stream": stream}
    with pytest.raises(openai.APIStatusError) as refused:
        await client.chat.completions.create(model="kb:kb1", messages=HELLO, **asked)
    return refused.value


@pytest.mark.parametrize("stream", [True, False])
async def test_a_knowledge_bases_failures_have_a_status(
    client: openai.AsyncOpenAI,
    chat: Chat,
    vendor: VendorServer,
    kb: KbStandIn,
    sessions: SessionStandIn,
    stream: bool,
) -> None:
    vendor.then(status(429, Retry_After="30"), status(401))
    busy = await refusal(client, stream=stream)
    assert (busy.status_code, busy.response.headers["retry-after"]) == (429, "30")
    assert isinstance(busy.body, dict)
    assert busy.body["type"] == "rate_limit_error"
    assert busy.body["message"] == sessions.turn.response
    assert (await refusal(client, stream=stream)).status_code == 502
    kb.search_status = 503
    assert (await refusal(client, stream=stream)).status_code == 503
    assert {turn.state for turn in sessions.turns.values()} == {"failed"}
    words = {"name": "表", "action": "block", "applies_to": "question", "words": ["你好"]}
    await chat.post("/admin/word-lists", words, headers=caller_header("admin"))
    blocked = await refusal(client, stream=stream)
    assert (blocked.status_code, blocked.code) == (400, "content_filter")


async def test_a_busy_session_has_a_status(
    client: openai.AsyncOpenAI, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang([event("你")]))
    asked = {"model": "kb:kb1", "metadata": {"session_id": SESSION_ID}}
    waiting = [asyncio.create_task(streamed(client, **asked)) for _ in range(4)]
    await until(lambda: len(sessions.turns) == 4 and bool(vendor.requests))
    busy = await refusal(client, stream=True)
    assert (busy.status_code, busy.code) == (429, "session_busy")
    assert busy.response.headers["retry-after"] == "5"
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_a_knowledge_bases_answer_says_how_it_broke_off(
    client: openai.AsyncOpenAI, vendor: VendorServer, kb: KbStandIn
) -> None:
    kb.hold("年假五天。")
    vendor.then(chunks([event("五天")], cut=True))
    got = await streamed(client, model="kb:kb1")
    text = "".join(c.choices[0].delta.content or "" for c in got)
    assert text.startswith("五天\n\n模型的回答中断了")
    assert got[-1].model_extra["citations"]


async def test_an_error_in_the_middle_is_an_event(
    client: openai.AsyncOpenAI, vendor: VendorServer
) -> None:
    vendor.then(chunks([event("你")], cut=True))
    with pytest.raises(openai.APIError) as broken:
        await streamed(client)
    assert "broke off" in str(broken.value)


async def test_leaving_ends_the_vendors_call(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang([event("你")]))
    asked = {"model": "custom-api", "messages": HELLO, "metadata": {"session_id": SESSION_ID}}
    async with chat.client.stream("POST", "/v1/chat/completions", json=asked | {"stream": True}):
        pass
    await until(vendor.requests[0].left.is_set)
    await until(lambda: sessions.turn.state == "interrupted")
    assert sessions.turn.response == "你"


async def test_bytes_and_headers(start_chat: StartChat) -> None:
    chat = await start_chat()
    asked = {"model": "offline", "messages": HELLO, "stream": True}
    answer = await chat.client.post("/v1/chat/completions", json=asked)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-request-id"]
    assert answer.text.endswith("data: [DONE]\n\n")
    refused = await chat.client.get("/v1/models", headers=caller_header("kb:read"))
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
