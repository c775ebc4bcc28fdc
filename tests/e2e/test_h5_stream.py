"""The published H5 while a vendor streams: 6.4's rules on every network read of a raw socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.h5 import H5, Mode, chat_body, complete, new_id, opened
from tests.fakes.vendor import DONE, VendorServer, bytewise, chunks, event, hang, status, tokens
from tests.stack import Client, Stack, free_ports, running_stack
from tests.tokens import mint_token

# A product of its own: it need not wait until the shared one is free.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("h5 stream")]

# Multi-byte characters, a seam inside a string, escapes, an empty token, one larger than a packet;
# all together less than the 64 KiB that a browser takes in one read at most.
WORDS = (
    "年假",
    "有",
    "十天",
    "😀",
    "👨‍👩‍👧",
    ' }{ "',
    "\\",
    "\n\n",
    "",
    "{",
    "}{" * 3,
    "\u2028",
    "长" * 9_000,
)
KB = "chat2llm"


@pytest.fixture(scope="module")
def vendor_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def stack(stack_folder: Callable[[], Path], vendor_port: int) -> Iterator[Stack]:
    """A product whose default model is the scripted vendor."""
    settings = {
        "ENABLE_LLM_MODEL": "custom-api",
        "CUSTOM_API_API_KEY": "sk-test",
        "CUSTOM_API_BASE_URL": f"http://127.0.0.1:{vendor_port}/v1",
        "CUSTOM_API_MODEL": "fake",
    }
    with running_stack(stack_folder(), **settings) as started:
        yield started


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return stack.add_client("the H5's host app")


@pytest.fixture
async def vendor(vendor_port: int) -> AsyncIterator[VendorServer]:
    server = await VendorServer(tokens(WORDS)).start(port=vendor_port)
    yield server
    await server.stop()


@pytest.fixture
async def h5(door: str, client: Client) -> AsyncIterator[H5]:
    token = mint_token(client_id=client.id, public_key=client.public_key, user_id=new_id())
    async with opened(door, token) as tab:
        await tab.start()
        yield tab


@pytest.fixture(params=["LLM", "Knowledge"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return "LLM" if request.param == "LLM" else "Knowledge"


def _body(session_id: str, mode: Mode) -> dict[str, object]:
    name = {"knowledge_base_name": KB} if mode == "Knowledge" else {}
    return chat_body(session_id, "令牌怎么签发", mode) | name


@pytest.mark.parametrize("pace", [0, 0.003])
async def test_every_read_parses_and_nothing_is_lost(
    h5: H5, vendor: VendorServer, mode: Mode, pace: float
) -> None:
    vendor.then(tokens(WORDS, pace=pace))
    session_id = new_id()
    streamed = complete(await h5.chat(mode, _body(session_id, mode)), mode)
    assert streamed.answer == "".join(WORDS)
    assert bool(streamed.docs) == (mode == "Knowledge")
    assert [item["response"] for item in await h5.history(session_id, 2)] == [streamed.answer]
    if pace:
        assert len(streamed.reads) > 5  # it came as it was made


async def test_a_vendor_that_cuts_characters_in_half(
    h5: H5, vendor: VendorServer, mode: Mode
) -> None:
    vendor.then(bytewise(b"".join(event(word) for word in WORDS[:-1]) + DONE, size=5))
    streamed = complete(await h5.chat(mode, _body(new_id(), mode)), mode)
    assert streamed.answer == "".join(WORDS[:-1])


async def test_a_failing_vendor_is_told_in_the_modes_own_key(
    h5: H5, vendor: VendorServer, mode: Mode
) -> None:
    for behaviour, start in (
        (chunks([event("开头")], cut=True), "开头"),
        (status(401), ""),
        (chunks([DONE]), ""),
    ):
        vendor.default = behaviour
        session_id = new_id()
        streamed = complete(await h5.chat(mode, _body(session_id, mode)), mode)
        assert streamed.answer.startswith(start)
        assert len(streamed.answer) > len(start)
        [stored] = await h5.history(session_id, 2)
        assert stored["response"].startswith(start)


async def test_the_stop_button_keeps_what_was_shown_and_ends_the_vendors_call(
    h5: H5, vendor: VendorServer, mode: Mode
) -> None:
    vendor.then(hang([event("显示"), event("过的")]))
    session_id = new_id()
    await h5.chat(mode, _body(session_id, mode), stop_after=1)
    await asyncio.wait_for(vendor.requests[0].left.wait(), 5)
    async with asyncio.timeout(5):
        while not (stored := await h5.history(session_id, 2))[0]["response"]:
            pass
    assert stored[0]["response"].startswith("显示")


async def test_headers_come_before_the_vendor_says_anything(
    h5: H5, vendor: VendorServer, mode: Mode
) -> None:
    vendor.then(hang())
    streamed = await h5.chat(mode, _body(new_id(), mode), stop_after=0)
    assert streamed.status == 200
