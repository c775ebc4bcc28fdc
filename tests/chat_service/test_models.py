"""Both adapters against a vendor that fails in every way."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing

import pytest

from chat_service.errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelPaused,
    ModelRefused,
    ModelTimeout,
    ModelUnreachable,
)
from chat_service.history import Message
from chat_service.llm import ChatModel, Sampling
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.vendors import Vendor
from servicekit.http import open_session
from tests.chat_service.standins import free_port
from tests.fakes.vendor import (
    DONE,
    END,
    WORDS,
    Behaviour,
    VendorServer,
    answer_json,
    bytewise,
    chunks,
    cut_before_headers,
    data,
    event,
    hang,
    status,
    tokens,
)

KEY = "k-very-secret-key"
ASKED = [Message("user", "你好")]
Adapter = Callable[..., ChatModel]


@pytest.fixture(params=["lean", "langchain"])
async def adapter(request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
    if request.param == "langchain":
        importlib.import_module("langchain_openai")  # takes longer than these tests wait
    async with open_session() as session, AsyncExitStack() as stack:

        def make(base_url: str) -> ChatModel:
            vendor = Vendor("custom-api", base_url, "fake-model", KEY)
            if request.param == "lean":
                return LeanModel(session, vendor, connect_timeout=2)
            model = LangChainModel(vendor, connect_timeout=2)
            stack.push_async_callback(model.close)
            return model

        yield make


@pytest.fixture
async def lean(vendor: VendorServer) -> AsyncIterator[LeanModel]:
    async with open_session() as session:
        yield LeanModel(
            session, Vendor("custom-api", vendor.base_url, "fake", KEY), connect_timeout=2
        )


@pytest.fixture
def model(adapter: Adapter, vendor: VendorServer) -> ChatModel:
    """Either adapter, with short patience."""
    return GuardedModel(adapter(vendor.base_url), Deadlines(1.5, 0.5, 5), Circuit())


async def said(
    model: ChatModel, sampling: Sampling | None = None, *, into: list[str] | None = None
) -> list[str]:
    got: list[str] = [] if into is None else into
    async with aclosing(model.stream(ASKED, sampling or Sampling())) as stream:
        async for tokens_together in stream:
            got += tokens_together
    return got


async def test_says_every_token_and_asks_rightly(model: ChatModel, vendor: VendorServer) -> None:
    assert await said(model, Sampling(0.25, 99)) == list(WORDS)
    (request,) = vendor.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked = request.body
    assert (asked["model"], asked["stream"]) == ("fake-model", True)
    assert asked["messages"] == [{"role": "user", "content": "你好"}]
    assert (asked["temperature"], asked["max_tokens"]) == (0.25, 99)


async def test_leaves_sampling_to_the_vendor(model: ChatModel, vendor: VendorServer) -> None:
    await said(model)
    assert not {"temperature", "max_tokens", "max_completion_tokens"} & set(vendor.requests[0].body)


GOOD = {
    "paced": (tokens(["一", "二"], pace=0.05), "一二"),
    "no space after data:": (chunks([event("好").replace(b"data: ", b"data:"), *END]), "好"),
    "CRLF": (chunks([p.replace(b"\n", b"\r\n") for p in (event("好"), *END)]), "好"),
    "comments and event names": (
        chunks([b": ping\n\n", b"event: message\n" + event("好"), b":\n\n", *END]),
        "好",
    ),
    "split characters": (bytewise(event("你好") + event("吗🙂") + b"".join(END)), "你好吗🙂"),
    "objects over several writes": (
        bytewise(event("你好") * 9 + b"".join(END), size=37),
        "你好" * 9,
    ),
    "usage chunk with empty choices": (
        chunks([event("好"), *END[:1], data({"choices": [], "usage": {"total_tokens": 9}}), DONE]),
        "好",
    ),
    "null content and role only": (
        chunks(
            [
                data({"choices": [{"delta": {"role": "assistant", "content": None}}]}),
                event("好"),
                *END,
            ]
        ),
        "好",
    ),
    "finish reason without DONE": (chunks([event("好"), END[0]]), "好"),
    "huge token": (chunks([event("长" * 300_000), *END]), "长" * 300_000),
}


@pytest.mark.parametrize("case", GOOD)
async def test_reads_what_vendors_really_send(
    case: str, model: ChatModel, vendor: VendorServer
) -> None:
    behaviour, expected = GOOD[case]
    vendor.then(behaviour)
    assert "".join(await said(model)) == expected


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (status(401), ModelRefused),
        (status(403), ModelRefused),
        (status(404), ModelRefused),
        (status(400), ModelRefused),
        (status(429, Retry_After="60"), ModelBusy),
        (chunks(END), ModelBroken),
        (chunks([]), ModelBroken),
        (chunks([DONE]), ModelBroken),
    ],
    ids=[
        "401",
        "403",
        "404",
        "400",
        "429",
        "empty",
        "nothing",
        "done-only",
    ],
)
async def test_fails_before_the_first_token(
    behaviour: Behaviour, error: type[ModelError], model: ChatModel, vendor: VendorServer
) -> None:
    vendor.then(behaviour)
    with pytest.raises(error) as raised:
        await said(model)
    assert len(vendor.requests) == 1
    assert KEY not in str(raised.value) + raised.value.detail


@pytest.mark.parametrize(
    "behaviour",
    [hang(), hang([]), hang([b": ping\n\n"])],
    ids=["at-once", "after-headers", "only-comments"],
)
async def test_waits_no_longer_for_the_first_token(
    behaviour: Behaviour, adapter: Adapter, vendor: VendorServer
) -> None:
    vendor.then(behaviour)
    model = GuardedModel(adapter(vendor.base_url), Deadlines(0.2, 5, 5), Circuit())
    with pytest.raises(ModelTimeout):
        await said(model)
    assert len(vendor.requests) <= 1  # none when the machine is slower than this patience


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (hang([event("一"), event("二")]), ModelTimeout),
        (chunks([event("一"), event("二")], pace=0.05, cut=True), ModelBroken),
        (chunks([event("一"), event("二")]), ModelBroken),
        (chunks([event("一"), event("二"), b"data: {not json\n\n", *END]), ModelBroken),
        (
            chunks([event("一"), event("二"), data({"error": {"message": "overloaded"}})]),
            ModelBroken,
        ),
        (
            chunks([event("一"), event("二"), data({"error_code": 50001, "text": "worker"})]),
            ModelBroken,
        ),
    ],
    ids=["hang", "cut", "end-without-done", "malformed", "error", "error_code"],
)
async def test_fails_after_tokens(
    behaviour: Behaviour, error: type[ModelError], model: ChatModel, vendor: VendorServer
) -> None:
    vendor.then(behaviour)
    got: list[str] = []
    with pytest.raises(error):
        await said(model, into=got)
    assert got == ["一", "二"]
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [status(500), status(503), cut_before_headers, status(429, Retry_After="0")],
    ids=["500", "503", "cut", "429"],
)
async def test_tries_again_before_the_first_token(
    behaviour: Behaviour, model: ChatModel, vendor: VendorServer
) -> None:
    vendor.then(behaviour, tokens(["好"]))
    assert await said(model) == ["好"]
    assert len(vendor.requests) == 2


async def test_unreachable_vendor(adapter: Adapter) -> None:
    model = GuardedModel(
        adapter(f"http://127.0.0.1:{free_port()}/v1"), Deadlines(1, 1, 5), Circuit(budget=0)
    )
    with pytest.raises(ModelUnreachable):
        await said(model)


async def test_the_whole_answer_has_a_deadline(adapter: Adapter, vendor: VendorServer) -> None:
    vendor.then(tokens(["字"] * 1000, pace=0.05))
    model = GuardedModel(adapter(vendor.base_url), Deadlines(2, 2, 0.3), Circuit())
    with pytest.raises(ModelTimeout):
        await said(model)


async def test_leaving_cancels_the_request(model: ChatModel, vendor: VendorServer) -> None:
    vendor.then(hang([event("一")]))
    async with aclosing(model.stream(ASKED, Sampling())) as stream:
        assert await anext(stream) is not None
    async with asyncio.timeout(1):
        await vendor.requests[0].left.wait()


async def test_circuit_opens_and_lets_one_try(lean: LeanModel, vendor: VendorServer) -> None:
    vendor.default = status(500)
    model = GuardedModel(lean, Deadlines(1, 1, 5), Circuit(failures=2, pause=0.2, budget=0))
    for _ in range(2):
        with pytest.raises(ModelUnreachable):
            await said(model)
    with pytest.raises(ModelPaused):
        await said(model)
    assert len(vendor.requests) == 2
    vendor.default = tokens(["好"])
    async with asyncio.timeout(5):
        while True:
            try:
                assert await said(model) == ["好"]
                break
            except ModelPaused:
                await asyncio.sleep(0.02)
    assert await said(model) == ["好"]


async def test_retries_have_a_budget(lean: LeanModel, vendor: VendorServer) -> None:
    vendor.default = status(429, Retry_After="0")
    model = GuardedModel(lean, Deadlines(1, 1, 5), Circuit(failures=99, budget=3))
    for _ in range(4):
        with pytest.raises(ModelBusy):
            await said(model)
    assert len(vendor.requests) == 4 + 3


async def test_learns_what_a_reasoning_model_refuses(lean: LeanModel, vendor: VendorServer) -> None:
    refusals = [
        {"error": {"message": "Unsupported value: 'temperature' ...", "param": "temperature"}},
        {"error": {"message": "Use 'max_completion_tokens', not 'max_tokens'."}},
    ]
    vendor.then(*(status(400, refusal) for refusal in refusals), tokens(["好"]), tokens(["好"]))
    for _ in range(2):
        assert await said(lean, Sampling(0.7, 50)) == ["好"]
    assert len(vendor.requests) == 4
    last = vendor.requests[-1].body
    assert last["max_completion_tokens"] == 50
    assert not {"temperature", "max_tokens"} & set(last)


async def test_reasoning_counts_as_a_sign_of_life(lean: LeanModel, vendor: VendorServer) -> None:
    thinking = data({"choices": [{"delta": {"reasoning_content": "hm"}}]})
    vendor.then(chunks([*[thinking] * 12, event("好"), *END], pace=0.05))
    model = GuardedModel(lean, Deadlines(0.5, 0.5, 5), Circuit())
    assert await said(model) == ["好"]


async def test_a_vendor_that_does_not_stream(lean: LeanModel, vendor: VendorServer) -> None:
    vendor.then(answer_json({"choices": [{"message": {"content": "整段"}}]}))
    assert await said(lean) == ["整段"]


async def test_a_whole_answer_without_text_is_none(lean: LeanModel, vendor: VendorServer) -> None:
    vendor.then(answer_json({"choices": [{"message": {"content": ""}}]}))
    with pytest.raises(ModelBroken, match="returned nothing"):
        await said(GuardedModel(lean, Deadlines(5, 5, 5), Circuit()))


@pytest.mark.parametrize(
    "body",
    [
        {"error_code": 50001, "text": "worker died"},
        {"error": {"message": "bad"}},
        {"choices": [None]},
        ["no object"],
    ],
)
async def test_an_error_with_status_200(
    body: object, lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.then(answer_json(body))
    with pytest.raises(ModelBroken):
        await said(lean)


async def test_content_in_parts(lean: LeanModel, vendor: VendorServer) -> None:
    parts = [{"type": "text", "text": "甲"}, {"type": "text", "text": "乙"}]
    vendor.then(chunks([data({"choices": [{"delta": {"content": parts}}]}), *END]))
    assert await said(lean) == ["甲乙"]


def escaped(*texts: str) -> list[bytes]:
    said = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    return [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("好\ud83d", "\ude00吧"), "好😀吧"),
        (("好", "\ud83d", "\ude00", "吧"), "好😀吧"),
        (("好\ud83d", "吧"), "好�吧"),
        (("好", "\ude00吧"), "好�吧"),
        (("好\ud83d",), "好"),
    ],
)
async def test_half_a_character_waits_for_its_other_half(
    texts: tuple[str, ...], expected: str, lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.then(chunks([*escaped(*texts), *END]))
    assert "".join(await said(lean)) == expected


async def test_an_endless_line_is_cut_off(lean: LeanModel, vendor: VendorServer) -> None:
    vendor.then(chunks([b"data: " + b"x" * 65536] + [b"x" * 65536] * 150))
    with pytest.raises(ModelBroken):
        await said(lean)


async def test_no_compression_is_asked_for(lean: LeanModel, vendor: VendorServer) -> None:
    await said(lean)
    assert vendor.requests[0].headers["accept-encoding"] == "identity"
