"""Every preset against a server that answers and fails as the vendor documents it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from aiohttp import ClientSession

from chat_service.errors import ModelBusy, ModelError, ModelRefused, ModelTooLong
from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling, complete
from chat_service.llm.chain import ChainedModel
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.vendors import PRESETS, Vendor
from deploy import vendor_table
from servicekit.http import open_session
from tests.fakes.dialects import ERRORS, SPOKEN
from tests.fakes.vendor import Behaviour, VendorServer, answer_json, chunks, status, tokens

KEY = "k-very-secret-key"
ASKED = [Message("user", "你好")]
WITH_SYSTEM = [Message("system", "简短"), *ASKED]


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def lean(session: ClientSession, vendor: VendorServer, request: pytest.FixtureRequest) -> LeanModel:
    case = getattr(request.node, "callspec", None)
    return _lean(session, vendor, case.params.get("preset", "custom-api") if case else "custom-api")


def _lean(session: ClientSession, server: VendorServer, preset: str) -> LeanModel:
    vendor = Vendor(preset, server.base_url, "m", KEY, preset=preset)
    return LeanModel(session, vendor, connect_timeout=2)


def _errors() -> Iterator[tuple[str, str, Behaviour, type[ModelError]]]:
    for preset, spoken in SPOKEN.items():
        for kind, behaviour in spoken.errors.items():
            yield preset, kind, behaviour, ERRORS[kind]
        for name, (behaviour, error) in spoken.also.items():
            yield preset, name, behaviour, error


async def _heard(model: ChatModel, into: list[str]) -> None:
    async with aclosing(model.stream(ASKED, Sampling())) as stream:
        async for tokens_together in stream:
            into += tokens_together


def test_the_table_in_the_docs_is_current() -> None:
    assert set(SPOKEN) <= set(PRESETS)
    assert vendor_table.DOCUMENT.read_text(encoding="utf-8") == vendor_table.document()


@pytest.mark.parametrize("preset", SPOKEN)
async def test_streams_as_documented(preset: str, lean: LeanModel, vendor: VendorServer) -> None:
    spoken, reply = SPOKEN[preset], Reply()
    vendor.then(chunks(spoken.stream))
    assert await complete(lean, ASKED, reply=reply) == "你好"
    assert reply.reasoning == spoken.thoughts
    assert (reply.prompt_tokens, reply.completion_tokens) == (12, 3)


@pytest.mark.parametrize("preset", SPOKEN)
async def test_answers_as_a_whole(preset: str, lean: LeanModel, vendor: VendorServer) -> None:
    spoken, reply = SPOKEN[preset], Reply()
    vendor.then(answer_json(spoken.whole))
    assert await complete(lean, ASKED, reply=reply) == "你好"
    assert reply.reasoning == spoken.thoughts
    assert (reply.prompt_tokens, reply.completion_tokens) == (12, 3)


@pytest.mark.parametrize(
    ("preset", "kind", "behaviour", "error"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in _errors()],
)
async def test_fails_as_documented(
    preset: str,
    kind: str,
    behaviour: Behaviour,
    error: type[ModelError],
    lean: LeanModel,
    vendor: VendorServer,
) -> None:
    vendor.then(behaviour)
    heard: list[str] = []
    with pytest.raises(ModelError) as raised:
        await _heard(lean, heard)
    assert type(raised.value) is error
    assert KEY not in str(raised.value) + raised.value.detail
    assert "".join(heard) in ("", "你好")
    assert len(vendor.requests) == 1
    if kind in ("key", "no_model"):
        assert ("API_KEY" if kind == "key" else "BASE_URL") in str(raised.value)


@pytest.mark.parametrize("preset", SPOKEN)
async def test_falls_back(preset: str, session: ClientSession, vendor: VendorServer) -> None:
    """Whatever stops it before its first word; but a content filter's no is not asked again."""
    errors = SPOKEN[preset].errors
    async with VendorServer(tokens(["另"])) as second:
        models = [_lean(session, vendor, preset), _lean(session, second, "custom-api")]
        chain = ChainedModel(models)
        for kind in errors.keys() - {"filtered", "midway"}:
            vendor.then(errors[kind])
            reply = Reply()
            assert await complete(chain, ASKED, reply=reply) == "另"
            assert (reply.model, reply.finish_reason) == ("custom-api", "stop")
        for kind in errors.keys() & {"filtered", "midway"}:
            vendor.then(errors[kind])
            with pytest.raises(ERRORS[kind]):
                await complete(chain, ASKED)


@pytest.mark.parametrize("preset", SPOKEN)
async def test_temperatures_are_brought_into_bounds(
    preset: str, lean: LeanModel, vendor: VendorServer
) -> None:
    lowest, highest = SPOKEN[preset].temperatures
    for wanted in (0, 0.5, 2):
        await complete(lean, ASKED, Sampling(wanted))
    sent = [request.body["temperature"] for request in vendor.requests]
    assert sent == [lowest, 0.5, highest]


@pytest.mark.parametrize(
    "refusal",
    [
        status(400, {"error": {"message": "System role not supported", "code": 400}}),
        answer_json({"error_code": 336002, "error_msg": "the role of first message must be user"}),
        status(400, {"error": {"message": "messages.[0].role: 'system' is not one of ['user']"}}),
    ],
)
async def test_a_system_message_is_folded_into_the_first_question(
    refusal: Behaviour, lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.then(refusal, tokens(["好"]), tokens(["好"]))
    for _ in range(2):
        assert await complete(lean, WITH_SYSTEM) == "好"
    folded = [{"role": "user", "content": "简短\n\n你好"}]
    assert [r.body["messages"] == folded for r in vendor.requests] == [False, True, True]


async def test_a_vendor_that_refuses_for_good_is_not_asked_for_ever(
    lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.default = status(400, {"error": {"message": "temperature and system role: no"}})
    with pytest.raises(ModelRefused):
        await complete(lean, WITH_SYSTEM, Sampling(0.5, 9))
    assert len(vendor.requests) <= 3


async def test_an_error_that_only_mentions_a_parameter_teaches_nothing(
    lean: LeanModel, vendor: VendorServer
) -> None:
    too_long = "maximum context length is 4096: 4000 in the messages, max_tokens=1000"
    vendor.then(status(400, {"error": {"message": too_long}}))
    with pytest.raises(ModelTooLong):
        await complete(lean, ASKED, Sampling(0.5, 1000))
    await complete(lean, ASKED, Sampling(0.5, 1000))
    assert [r.body["max_tokens"] for r in vendor.requests] == [1000, 1000]


@pytest.mark.parametrize("kind", ["key", "no_model", "quota", "filtered", "too_long"])
async def test_what_a_retry_would_not_help_is_not_retried(
    kind: str, lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.default = SPOKEN["openai-api"].errors[kind]
    with pytest.raises(ERRORS[kind]):
        await complete(GuardedModel(lean, Deadlines(2, 2, 5), Circuit()), ASKED)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("kind", ERRORS)
async def test_langchain_fails_with_the_same_errors(kind: str, vendor: VendorServer) -> None:
    named = Vendor("openai-api", vendor.base_url, "m", KEY, preset="openai-api")
    vendor.then(SPOKEN["openai-api"].errors[kind])
    model = LangChainModel(named, connect_timeout=2)
    with pytest.raises(ModelError) as raised:
        await complete(model, ASKED)
    await model.close()
    assert type(raised.value) is ERRORS[kind]
    assert KEY not in str(raised.value) + raised.value.detail


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        ("1.6", 2),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 60),
        ("soon", None),
        (None, None),
    ],
)
async def test_how_long_a_busy_vendor_wants_to_be_left_alone(
    header: str | None, seconds: int | None, lean: LeanModel, vendor: VendorServer
) -> None:
    vendor.then(status(429, **({"Retry_After": header} if header else {})))
    with pytest.raises(ModelBusy) as raised:
        await complete(lean, ASKED)
    if seconds == 60:  # long from now
        assert (raised.value.retry_after or 0) > 60
    else:
        assert raised.value.retry_after == seconds


async def test_redirects_are_not_followed(lean: LeanModel, vendor: VendorServer) -> None:
    async with VendorServer() as elsewhere:
        vendor.then(status(307, Location=f"{elsewhere.base_url}/chat/completions"))
        with pytest.raises(ModelRefused):
            await complete(lean, ASKED)
        assert not elsewhere.requests


async def test_a_key_of_two_parts_is_in_no_error(
    session: ClientSession, vendor: VendorServer
) -> None:
    named = Vendor("xinghuo-api", vendor.base_url, "m", "the-key:the-secret", preset="xinghuo-api")
    vendor.then(status(401, {"message": "apikey the-key with the-secret is unknown"}))
    with pytest.raises(ModelRefused) as raised:
        await complete(LeanModel(session, named, connect_timeout=2), ASKED)
    assert "the-key" not in raised.value.detail
    assert "the-secret" not in raised.value.detail
