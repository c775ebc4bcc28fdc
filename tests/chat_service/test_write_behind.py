"""Rows that wait to be stored: none is lost within a bound, none is stored twice."""

import asyncio

import pytest

from chat_service.write_behind import WriteBehind


async def test_rows_that_cannot_be_stored_wait_for_the_next_time() -> None:
    stored: list[int] = []
    is_full = True

    async def store(rows: list[int]) -> None:
        if is_full:
            raise OSError("no space left")
        stored.extend(rows)

    waiting = WriteBehind(store)
    waiting.note(1)
    with pytest.raises(OSError, match="no space left"):
        await waiting.write()
    waiting.note(2)
    is_full = False
    await waiting.write()
    await waiting.write()
    assert stored == [1, 2]
    assert waiting.unwritten == []


def test_a_store_that_stays_away_does_not_fill_the_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def store(rows: list[int]) -> None:
        pytest.fail("nobody asked")

    waiting = WriteBehind(store, most=2)
    for row in range(3):
        waiting.note(row)
    assert waiting.unwritten == [0, 1]
    assert "2 rows wait to be stored already: one is lost" in caplog.text


async def test_a_cancelled_write_is_ended_before_the_next_one() -> None:
    stored: list[int] = []
    is_storing, may_end = asyncio.Event(), asyncio.Event()

    async def store(rows: list[int]) -> None:
        is_storing.set()
        await may_end.wait()
        stored.extend(rows)

    waiting = WriteBehind(store)
    waiting.note(1)
    first = asyncio.create_task(waiting.write())
    await is_storing.wait()
    first.cancel()
    waiting.note(2)
    second = asyncio.create_task(waiting.write())
    await asyncio.wait([first])
    may_end.set()
    await second
    assert stored == [1, 2]
