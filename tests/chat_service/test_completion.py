"""/chat/fastchat and /other/completion: the text itself, stored nowhere."""

from typing import Any

import pytest

from tests.chat_service.conftest import Chat, StartChat
from tests.chat_service.standins import SessionStandIn
from tests.fakes.vendor import END, VendorServer, chunks, data, event, hang, status, tokens

FASTCHAT, COMPLETION = "/chat/fastchat", "/other/completion"
BODIES: dict[str, dict[str, Any]] = {
    FASTCHAT: {"messages": [{"role": "user", "content": "你好"}]},
    COMPLETION: {"query": "你好"},
}
BOTH = pytest.mark.parametrize("path", BODIES)


@BOTH
@pytest.mark.parametrize("stream", [True, False])
async def test_issue_21_the_text_itself_arrives(
    path: str, stream: bool, chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    """Bug 21 of the old server: with today's SDK the body was always empty."""
    vendor.then(tokens(["你", "好", "}{", "！"]))
    answer = await chat.post(path, BODIES[path] | {"stream": stream})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text == "你好}{！"
    assert not sessions.calls


@BOTH
async def test_each_delta_comes_when_it_is_there(
    path: str, chat: Chat, vendor: VendorServer
) -> None:
    vendor.then(hang([event("一")]))
    async with chat.client.stream("POST", path, json=BODIES[path] | {"stream": True}) as answer:
        async for read in answer.aiter_raw():
            assert read.decode() == "一"
            break
    await vendor.requests[0].left.wait()  # leaving ended the vendor's call


@BOTH
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_is_a_sentence(
    path: str, stream: bool, chat: Chat, vendor: VendorServer
) -> None:
    """Bug 21: it was an empty body, and only the log knew."""
    vendor.then(status(401), chunks([event("一"), data({"error": {"message": "x"}})]))
    assert "API_KEY" in (await chat.post(path, BODIES[path] | {"stream": stream})).text
    partial = (await chat.post(path, BODIES[path] | {"stream": stream})).text
    assert partial.startswith("一\n\n模型")


async def test_fastchat_passes_its_parameters_on(chat: Chat, vendor: VendorServer) -> None:
    messages = [
        {"role": "system", "content": "<p>简短"},
        {"role": "human", "content": "<b>1</b>"},
        {"role": "ai", "content": "一"},
        {},
    ]
    body = {
        "messages": messages,
        "temperature": 1.5,
        "max_tokens": 7,
        "n": 3,
        "stop": ["。"],
        "presence_penalty": 1,
        "frequency_penalty": 0,
        "stream": True,
    }
    await chat.post(FASTCHAT, body)
    sent = vendor.requests[0].body
    assert sent["messages"] == [
        {"role": "system", "content": "<p>简短"},
        {"role": "user", "content": "<b>1</b>"},
        {"role": "assistant", "content": "一"},
        {"role": "user", "content": "hello"},
    ]
    wanted = {"temperature": 1.5, "max_tokens": 7, "stop": ["。"], "presence_penalty": 1}
    assert {name: sent.get(name) for name in wanted} == wanted
    assert not {"n", "frequency_penalty"} & sent.keys()


async def test_fastchat_keeps_within_the_models_context(
    start_chat: StartChat, vendor: VendorServer
) -> None:
    chat = await start_chat(custom_api_base_url=vendor.base_url, context_tokens=500)
    old = [{"role": "user", "content": f"{n}" + "字" * 200} for n in range(5)]
    await chat.post(FASTCHAT, {"messages": [{"role": "system", "content": "简短"}, *old]})
    sent = [message["content"][:2] for message in vendor.requests[0].body["messages"]]
    assert sent == ["简短", "3字", "4字"]


@pytest.mark.parametrize("messages", [None, [], [{"content": 5}], "hello"])
async def test_fastchat_refuses_what_are_no_messages(messages: Any, chat: Chat) -> None:
    answer = await chat.post(FASTCHAT, {"messages": messages})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", "messages"]


async def test_completion_defaults_and_echo(chat: Chat, vendor: VendorServer) -> None:
    vendor.then(tokens(["，世界"]), tokens(["，世界"]))
    echoed = await chat.post(COMPLETION, {"query": "你好", "echo": True, "stream": True})
    assert echoed.text == "你好，世界"
    sent = vendor.requests[0].body
    assert (sent["max_tokens"], sent["temperature"]) == (1024, 0.7)
    assert sent["messages"] == [{"role": "user", "content": "你好"}]
    plain = await chat.post(COMPLETION, {"query": "{{ input }}", "max_tokens": None})
    assert plain.text == "，世界"
    assert vendor.requests[1].body["messages"][0]["content"] == "{{ input }}"


async def test_completion_with_an_unknown_prompt(chat: Chat, vendor: VendorServer) -> None:
    vendor.then(chunks([event("好"), *END]))
    assert (await chat.post(COMPLETION, {"query": "q", "prompt_name": "no such"})).text == "好"
    assert (await chat.post(COMPLETION, {})).status_code == 422


@BOTH
async def test_without_a_model(path: str, start_chat: StartChat) -> None:
    assert "【离线模式】" in (await (await start_chat()).post(path, BODIES[path])).text
