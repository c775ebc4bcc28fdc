"""What a model tells besides its text: tokens, thoughts, why it ended, and its name."""

import importlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.llm.thinking import ThoughtSplitter
from chat_service.vendors import Vendor
from servicekit.http import open_session
from tests.fakes.vendor import (
    DONE,
    END,
    VendorServer,
    answer_json,
    chunks,
    data,
    event,
    status,
    tokens,
)

ASKED = [Message("user", "你好")]
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@pytest.fixture(params=["lean", "langchain"])
async def model(request: pytest.FixtureRequest, vendor: VendorServer) -> AsyncIterator[ChatModel]:
    """Either adapter, behind its guard."""
    named = Vendor("custom-api", vendor.base_url, "fake-model")
    if request.param == "langchain":
        importlib.import_module("langchain_openai")  # takes longer than these tests wait
    langchain = LangChainModel(named, connect_timeout=2)
    async with open_session() as session:
        adapter = (
            LeanModel(session, named, connect_timeout=2) if request.param == "lean" else langchain
        )
        yield GuardedModel(adapter, Deadlines(2, 2, 5), Circuit())
    await langchain.close()


@pytest.fixture
async def lean(vendor: VendorServer) -> AsyncIterator[LeanModel]:
    async with open_session() as session:
        yield LeanModel(session, Vendor("custom-api", vendor.base_url, "m"), connect_timeout=2)


async def ask(model: ChatModel, sampling: Sampling | None = None) -> tuple[str, Reply]:
    reply = Reply()
    async with aclosing(model.stream(ASKED, sampling or Sampling(), reply)) as stream:
        said = [token async for together in stream for token in together]
    return "".join(said), reply


async def test_usage_in_the_last_chunk(model: ChatModel, vendor: VendorServer) -> None:
    last = data({"id": "x", "choices": [], "usage": USAGE})
    vendor.then(chunks([event("好"), END[0], last, DONE]))
    said, reply = await ask(model)
    assert vendor.requests[0].body["stream_options"] == {"include_usage": True}
    assert (said, reply.prompt_tokens, reply.completion_tokens) == ("好", 12, 3)
    assert (reply.model, reply.finish_reason) == ("custom-api", "stop")


async def test_usage_is_unknown_where_the_vendor_tells_none(
    model: ChatModel, vendor: VendorServer
) -> None:
    _, reply = await ask(model)
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


async def test_a_vendor_that_does_not_count_is_not_asked_again(
    model: ChatModel, vendor: VendorServer
) -> None:
    refusal = status(400, {"error": {"message": "Unknown parameter: 'stream_options'"}})
    vendor.then(refusal, tokens(["好"]), tokens(["好"]))
    assert [(await ask(model))[0] for _ in range(2)] == ["好", "好"]
    assert ["stream_options" in r.body for r in vendor.requests] == [True, False, False]


async def test_thoughts_in_tags_are_no_answer(model: ChatModel, vendor: VendorServer) -> None:
    vendor.then(tokens(["<th", "ink>想", "想<", "/thi", "nk>\n\n", "好", "<think>"]))
    said, reply = await ask(model)
    assert (said, reply.reasoning) == ("好<think>", "想想")


async def test_further_parameters_are_sent_as_they_are(
    model: ChatModel, vendor: VendorServer
) -> None:
    await ask(model, Sampling(more={"stop": ["。"], "presence_penalty": 1}))
    asked = vendor.requests[0].body
    assert (asked["stop"], asked["presence_penalty"]) == (["。"], 1)


def _delta(**delta: Any) -> bytes:
    return data({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


async def test_reasoning_is_kept_apart(lean: LeanModel, vendor: VendorServer) -> None:
    thinking = [_delta(reasoning_content="想"), _delta(reasoning="了", content=None)]
    vendor.then(chunks([*thinking, event("好"), *END]))
    said, reply = await ask(lean)
    assert (said, reply.reasoning) == ("好", "想了")


async def test_usage_inside_the_choice_and_in_every_chunk(
    lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.then(
        chunks(
            [
                data({"choices": [{"delta": {"content": "好"}}], "usage": {"prompt_tokens": 7}}),
                event(None, finish_reason="length", usage=USAGE),
                DONE,
            ]
        )
    )
    said, reply = await ask(lean)
    assert (said, reply.prompt_tokens, reply.completion_tokens) == ("好", 12, 3)
    assert reply.finish_reason == "length"


async def test_tool_calls_are_an_answer(lean: LeanModel, vendor: VendorServer) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    vendor.then(chunks([_delta(tool_calls=[call]), event(None, finish_reason="tool_calls"), DONE]))
    guarded = GuardedModel(lean, Deadlines(2, 2, 5), Circuit())
    said, reply = await ask(guarded, Sampling(more={"tools": [{"type": "function"}]}))
    assert (said, reply.tool_calls, reply.finish_reason) == ("", [call], "tool_calls")


async def test_an_answer_that_did_not_stream(lean: LeanModel, vendor: VendorServer) -> None:
    message = {"content": "<think>想</think>好", "reasoning_content": "再"}
    choice = {"message": message, "finish_reason": "stop"}
    vendor.then(answer_json({"choices": [choice], "usage": USAGE}))
    said, reply = await ask(lean)
    assert (said, reply.reasoning, reply.completion_tokens) == ("好", "再想", 3)


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>a</think>b", "a", "b"),
        (" \n<think>a</think>\n\nb c", "a", "b c"),
        ("<think>a", "a", ""),
        ("<think>a</thi", "a</thi", ""),
        ("<thinking>a", "", "<thinking>a"),
        ("<thi", "", "<thi"),
        ("a<think>b</think>", "", "a<think>b</think>"),
        ("<think></think>b", "", "b"),
        ("<think>a</th</think>b", "a</th", "b"),
        (" b", "", " b"),
    ],
)
def test_thoughts_are_parted_wherever_the_text_is_cut(text: str, thought: str, answer: str) -> None:
    for size in range(1, len(text) + 1):
        splitter = ThoughtSplitter()
        parts = [splitter.feed(text[i : i + size]) for i in range(0, len(text), size)]
        parts.append(splitter.end())
        assert "".join(t for t, _ in parts) == thought
        assert "".join(a for _, a in parts) == answer
