"""Signals through a real Redis: any process with a worker to spare, and none is needed at all."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kb_service.jobs.broker import open_signals
from kb_service.settings import KbSettings
from tests.kb_service.jobs import stores_in
from tests.programs import program


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def redis(port: int) -> AsyncIterator[str]:
    options = ("--port", str(port), "--save", "", "--appendonly", "no")
    server = await asyncio.create_subprocess_exec(
        program("redis-server"), *options, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(1_000):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        await server.wait()


class Process:
    """Stands for one of several: takes signals, and works until it is told to end."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Event()
        self.calls = 0

    async def work(self) -> None:
        self.calls += 1
        self.begun.release()
        await self.may_end.wait()


async def test_a_process_that_is_busy_leaves_signals_to_others() -> None:
    first, second = Process(), Process()
    async with redis(free_port()) as url:
        one = await open_signals(first.work, redis_url=url, workers=1)
        await one.send(1)
        async with asyncio.timeout(30):
            await first.begun.acquire()
        other = await open_signals(second.work, redis_url=url, workers=1)
        await one.send(1)
        async with asyncio.timeout(30):
            await second.begun.acquire()
        assert (first.calls, second.calls) == (1, 1)
        for process in (first, second):
            process.may_end.set()
        await one.send(1)
        async with asyncio.timeout(30):
            waiting = [asyncio.create_task(p.begun.acquire()) for p in (first, second)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        assert first.calls + second.calls == 3
        for signals in (one, other):
            await signals.close()


async def test_closing_does_not_wait_for_what_is_worked_on() -> None:
    process = Process()
    async with redis(free_port()) as url, asyncio.timeout(30):
        signals = await open_signals(process.work, redis_url=url, workers=1)
        await signals.send(1)
        await process.begun.acquire()
        await signals.close()
    process.may_end.set()


async def test_without_redis_nothing_breaks_and_it_is_found_again() -> None:
    process, port = Process(), free_port()
    signals = await open_signals(process.work, redis_url=f"redis://127.0.0.1:{port}/0", workers=1)
    await signals.send(1)
    async with redis(port):
        while not process.calls:
            await signals.send(1)
            await asyncio.sleep(0.1)
    process.may_end.set()
    await signals.close()


async def test_two_processes_share_a_queue_without_doing_anything_twice(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> None:
    make_settings()
    done, all_done, draining = list[int](), asyncio.Event(), set[asyncio.Task[None]]()
    async with redis(free_port()) as url, stores_in(tmp_path) as stores:

        async def drain() -> None:
            task = asyncio.current_task()
            assert task
            draining.add(task)
            while job := await stores.leases.claim():
                await asyncio.sleep(0)
                done.append(job.id)
                await stores.jobs.finish(job.lease, 1, "")
                if len(done) == 40:
                    all_done.set()

        team = [await open_signals(drain, redis_url=url, workers=2) for _ in range(2)]
        ids = await stores.add(*(f"{n}.txt" for n in range(40)))
        await team[0].send(len(ids))
        async with asyncio.timeout(30):
            await all_done.wait()
        for signals in team:
            await signals.close()
        await asyncio.wait(draining)
    assert sorted(done) == ids


@pytest.mark.parametrize("number", [1, 5])
async def test_within_a_process_a_signal_is_a_call(number: int) -> None:
    process = Process()
    process.may_end.set()
    signals = await open_signals(process.work, redis_url=None, workers=2)
    await signals.send(number)
    for _ in range(number):
        await process.begun.acquire()
    await signals.close()
    assert process.calls == number


async def test_closing_ends_readers_whatever_they_are_doing() -> None:
    process = Process()
    process.may_end.set()
    async with redis(free_port()) as url:
        for turns in range(40):
            signals = [await open_signals(process.work, redis_url=url, workers=1) for _ in range(2)]
            await signals[0].send(3)
            async with asyncio.timeout(30):
                await process.begun.acquire()
            for _ in range(5 * turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                for each in signals:
                    await each.close()
