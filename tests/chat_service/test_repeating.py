"""Background work goes on whatever becomes of it."""

import asyncio
import logging

import pytest

from chat_service.repeating import repeat


async def test_goes_on_after_a_failure_and_once_more_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done, again = 0, asyncio.Event()

    async def work() -> None:
        nonlocal done
        done += 1
        if done == 1:
            raise OSError("no room")
        again.set()

    repeating = asyncio.create_task(repeat(work, every=0.001, at_the_end=True))
    with caplog.at_level(logging.ERROR):
        await again.wait()
    assert "work failed" in caplog.text
    before = done
    repeating.cancel()
    await asyncio.gather(repeating, return_exceptions=True)
    assert done == before + 1
