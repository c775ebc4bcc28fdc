"""Questions that may come next, for OpenAI's clients that ask for them."""

import json
from typing import Any

import pytest

from tests.chat_service.conftest import Chat, StartChat
from tests.chat_service.standins import KbStandIn
from tests.fakes.vendor import END, Behaviour, VendorServer, chunks, status, tokens

ASKED: dict[str, Any] = {
    "model": "custom-api",
    "messages": [{"role": "user", "content": "年假几天"}],
    "metadata": {"follow_ups": True},
}


async def test_on_the_last_chunk_after_the_text(
    chat: Chat, vendor: VendorServer, kb: KbStandIn
) -> None:
    kb.hold("年假十天。")
    said = (
        "1. 病假呢？\n- 病假呢？\n\n![看](https://evil.test/x)\n" + "长" * 200 + "\n谁批？\n还有？"
    )
    vendor.then(tokens(["十天 [1]"]), tokens([said]))
    answer = await chat.post("/v1/chat/completions", ASKED | {"model": "kb:kb1", "stream": True})
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    *texts, last = [json.loads(line) for line in lines if line != "[DONE]"]
    assert last["follow_ups"] == ["病假呢？", "[看](https://evil.test/x)", "谁批？"]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert not [chunk for chunk in texts if "follow_ups" in chunk]
    prompt = vendor.requests[1].body["messages"][0]["content"]
    assert "年假几天" in prompt
    assert "十天 [1]" in prompt


@pytest.mark.parametrize("second", [status(401), tokens([" \n"])])
async def test_without_them_nothing_is_lost(
    second: Behaviour, chat: Chat, vendor: VendorServer
) -> None:
    vendor.then(tokens(["十天"]), second)
    body = (await chat.post("/v1/chat/completions", ASKED)).json()
    assert body["choices"][0]["message"]["content"] == "十天"
    assert "follow_ups" not in body


async def test_half_a_character_is_no_obstacle(chat: Chat, vendor: VendorServer) -> None:
    halves = [
        b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % half
        for half in (rb"one\ud83d", rb"\ude00\ntwo\ud83d")
    ]
    vendor.then(tokens(["yes"]), chunks([*halves, *END]))
    answer = await chat.post("/v1/chat/completions", ASKED | {"stream": True})
    *_, last, done = [line for line in answer.text.split("\n\n") if line]
    assert json.loads(last.removeprefix("data: "))["follow_ups"] == ["one😀", "two\ufffd"]
    assert done == "data: [DONE]"


@pytest.mark.parametrize(("wanted", "calls"), [("true", 2), ("false", 1)])
async def test_asked_for_as_text(wanted: str, calls: int, chat: Chat, vendor: VendorServer) -> None:
    """What OpenAI's clients let into metadata."""
    await chat.post("/v1/chat/completions", ASKED | {"metadata": {"follow_ups": wanted}})
    assert len(vendor.requests) == calls


async def test_nobody_is_asked_unasked_or_offline(
    chat: Chat, vendor: VendorServer, start_chat: StartChat
) -> None:
    vendor.default = tokens(["十天"])
    await chat.post("/v1/chat/completions", ASKED | {"metadata": {}})
    assert len(vendor.requests) == 1
    offline = await start_chat()
    answer = await offline.post("/v1/chat/completions", ASKED | {"model": "offline"})
    assert "follow_ups" not in answer.json()
