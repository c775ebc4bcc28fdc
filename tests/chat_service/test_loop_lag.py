"""Nothing blocks the event loop while knowledge-base chats run."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from tests.chat_service.conftest import Chat
from tests.chat_service.standins import KbStandIn
from tests.fakes.vendor import VendorServer, tokens

STREAMS = 20
LONGEST = 0.05
# A blocking call is there every time, another process that takes the CPU is not.
ROUNDS = 5
HISTORY = [{"role": "user", "content": "年假几天？"}, {"role": "assistant", "content": "十天。"}]


@pytest.fixture
def no_collections() -> Iterator[None]:
    """The garbage of a whole test run is no matter of the service's."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _lag(stop: asyncio.Event) -> float:
    """The longest that the loop was late, in seconds."""
    now, longest = asyncio.get_running_loop().time, 0.0
    while not stop.is_set():
        begun = now()
        await asyncio.sleep(0.002)
        longest = max(longest, now() - begun - 0.002)
    return longest


@pytest.mark.usefixtures("no_collections")
async def test_chats_share_the_loop(chat: Chat, kb: KbStandIn, vendor: VendorServer) -> None:
    kb.hold(*["员工工作满一年后享有十天年假。" * 40] * 5)
    vendor.default = tokens([f"词{n} " for n in range(30)], pace=0.002)

    async def ask(number: int) -> None:
        # Without a history there is nothing to condense; every fourth has one.
        history = HISTORY if number % 4 == 0 else []
        await chat.said("七月入职呢？", session_id=None, knowledge_base_name="kb1", history=history)

    await ask(0)  # whatever is imported at the first call
    lags = []
    for _ in range(ROUNDS):
        stop = asyncio.Event()
        probe = asyncio.create_task(_lag(stop))
        await asyncio.gather(*(ask(number) for number in range(STREAMS)))
        stop.set()
        lags.append(await probe)
        if lags[-1] < LONGEST:
            return
    pytest.fail(f"the loop was blocked for {min(lags):.3f} s in each of {ROUNDS} rounds")
