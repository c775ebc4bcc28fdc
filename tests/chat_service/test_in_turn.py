"""One answer at a time in a session."""

import asyncio

import pytest

from chat_service.errors import SessionBusy
from chat_service.in_turn import InTurn


async def test_who_waits_too_long_is_told() -> None:
    in_turn = InTurn(patience=0.01)
    async with in_turn.alone("s"), in_turn.alone("other"), in_turn.alone(None):
        with pytest.raises(SessionBusy):
            async with in_turn.alone("s"):
                pytest.fail("two at once")
    async with in_turn.alone("s"):
        pass


async def test_not_everybody_may_wait() -> None:
    in_turn = InTurn()
    done: list[int] = []

    async def answer(number: int) -> None:
        async with in_turn.alone("s"):
            done.append(number)

    async with asyncio.TaskGroup() as group, in_turn.alone("s"):
        for number in range(3):
            group.create_task(answer(number))
        await asyncio.sleep(0)
        with pytest.raises(SessionBusy):
            async with in_turn.alone("s"):
                pytest.fail("one too many")
    assert done == [0, 1, 2]
