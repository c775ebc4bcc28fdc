"""The clients' origins: asked for in the background, kept while auth_service is away."""

import asyncio

from gateway.clients import AuthClient
from gateway.origins import AllowedOrigins
from servicekit.errors import Unavailable
from tests.gateway.test_identity import Clock

SHOP = "https://shop.example"


class Answers(AuthClient):
    """A port without a wire: counts what it is asked, and waits until it may answer."""

    def __init__(self) -> None:
        self.answer: tuple[str, ...] | None = (SHOP,)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def origins(self) -> tuple[str, ...]:
        self.asked += 1
        await self.may_answer.wait()
        if self.answer is None:
            raise Unavailable("away")
        return self.answer


async def test_who_comes_first_waits_and_nobody_else_does() -> None:
    port, clock = Answers(), Clock()
    origins = AllowedOrigins(port, frozenset(), clock=clock)
    assert await origins.known() == (SHOP,)
    port.answer = ("https://new.example",)
    port.may_answer.clear()
    clock.now += 29.9
    assert await origins.known() == (SHOP,)
    assert port.asked == 1
    clock.now += 0.2
    assert await origins.known() == (SHOP,)  # the old answer, while the new one is asked for
    port.may_answer.set()
    assert await origins.settled() == ("https://new.example",)
    assert await origins.known() == ("https://new.example",)
    assert port.asked == 2


async def test_an_old_answer_is_kept_and_auth_is_asked_again_soon() -> None:
    port, clock = Answers(), Clock()
    origins = AllowedOrigins(port, frozenset(("https://ours.example",)), clock=clock)
    await origins.settled()
    port.answer = None
    clock.now += 31
    assert await origins.settled() == (SHOP,)
    assert SHOP in origins
    assert "https://ours.example" in origins
    assert "https://other.example" not in origins
    port.answer = ()
    clock.now += 1.9
    assert await origins.settled() == (SHOP,)
    clock.now += 0.2
    assert await origins.settled() == ()
    assert port.asked == 3


async def test_a_question_is_asked_once_and_ends_with_us() -> None:
    port = Answers()
    port.may_answer.clear()
    origins = AllowedOrigins(port, frozenset(), clock=Clock())
    waiting = [asyncio.create_task(origins.known()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert port.asked == 1
    await origins.close()
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)
