"""The memory of failed tries: in this process, and in a real Redis."""

import logging
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest

from auth_service.attempts import FailedAttempts, RedisLimiter
from auth_service.errors import TooManyFailures
from tests.auth_service.conftest import Clock
from tests.programs import program

ADDRESS = "192.0.2.7"


async def fail(failures: FailedAttempts, times: int, address: str = ADDRESS) -> None:
    for _ in range(times):
        await failures.record(address)


async def retry_after(failures: FailedAttempts, address: str = ADDRESS) -> int | None:
    """Seconds to wait; None when the address may try."""
    try:
        await failures.check(address)
    except TooManyFailures as refused:
        return refused.retry_after
    return None


class TestHere:
    async def test_the_last_failure_that_is_allowed(self, clock: Clock) -> None:
        failures = FailedAttempts("5/minute", clock)
        await fail(failures, 4)
        assert await retry_after(failures) is None
        await fail(failures, 1)
        assert await retry_after(failures) == 60

    async def test_the_wait_ends_with_its_window(self, clock: Clock) -> None:
        failures = FailedAttempts("5/minute", clock)
        await fail(failures, 50)
        clock.now += 59
        assert await retry_after(failures) == 1
        clock.now += 1
        assert await retry_after(failures) is None
        await fail(failures, 4)
        assert await retry_after(failures) is None

    async def test_old_failures_do_not_add_up(self, clock: Clock) -> None:
        failures = FailedAttempts("5/minute", clock)
        for _ in range(30):
            await fail(failures, 1)
            assert await retry_after(failures) is None
            clock.now += 20

    async def test_what_is_remembered_is_bounded(self, clock: Clock) -> None:
        failures = FailedAttempts("5/minute", clock)
        await fail(failures, 5)
        for number in range(10_000):
            await failures.record(f"10.0.{number >> 8}.{number & 255}")
        assert await retry_after(failures) is None  # forgotten, as the oldest

    @pytest.mark.parametrize("address", ["", "unknown", "not-an-address", "x" * 1000])
    async def test_what_is_no_address_counts_together(self, clock: Clock, address: str) -> None:
        failures = FailedAttempts("5/minute", clock)
        for number in range(5):
            await failures.record(f"nobody-{number}")
        assert await retry_after(failures, address) == 60

    @pytest.mark.parametrize(
        ("address", "counts"),
        [
            ("2001:db8::ffff", True),
            ("2001:db8:0:1::1", False),
            ("::ffff:192.0.2.7", False),
        ],
    )
    async def test_an_ipv6_host_is_its_64(self, clock: Clock, address: str, counts: bool) -> None:
        failures = FailedAttempts("5/minute", clock)
        await fail(failures, 5, "2001:db8::1")
        assert (await retry_after(failures, address) is not None) == counts


class RedisServer:
    """A real one on a free port, that may die and come back."""

    def __init__(self, binary: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._binary, self._folder = binary, folder

    @contextmanager
    def running(self) -> Iterator[None]:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        process = subprocess.Popen(
            [self._binary, *options, str(self._folder)], stdout=subprocess.DEVNULL
        )
        try:
            self._wait()
            yield
        finally:
            process.kill()
            process.wait()

    def _wait(self) -> None:
        ends = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                assert time.monotonic() < ends
                time.sleep(0.02)


@pytest.fixture
def redis_server(tmp_path: Path) -> RedisServer:
    return RedisServer(program("redis-server"), tmp_path)


@pytest.fixture
async def copy(
    redis_server: RedisServer, clock: Clock
) -> AsyncIterator[Callable[[], FailedAttempts]]:
    """Makes copies of the service that share the server."""
    limiters: list[RedisLimiter] = []

    def made() -> FailedAttempts:
        limiters.append(RedisLimiter(redis_server.url, clock))
        return FailedAttempts("5/minute", clock, redis=limiters[-1])

    yield made
    for limiter in limiters:
        await limiter.close()


Copies = Callable[[], FailedAttempts]


class TestRedis:
    async def test_copies_count_together(self, redis_server: RedisServer, copy: Copies) -> None:
        with redis_server.running():
            one, other = copy(), copy()
            await fail(one, 3)
            assert await retry_after(other) is None
            await fail(other, 2)
            for failures in (one, other):
                assert await retry_after(failures) in {59, 60}
                assert await retry_after(failures, "192.0.2.8") is None

    async def test_without_redis_people_come_in_and_failures_count_here(
        self, copy: Copies, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = copy()
        await fail(failures, 4)
        assert await retry_after(failures) is None
        await fail(failures, 1)
        assert await retry_after(failures) == 60
        said = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(said) == 1
        assert "Redis is away" in said[0].getMessage()

    async def test_redis_that_dies_and_comes_back(
        self, redis_server: RedisServer, copy: Copies, clock: Clock
    ) -> None:
        failures = copy()
        with ExitStack() as first:
            first.enter_context(redis_server.running())
            await fail(failures, 5)
            assert await retry_after(failures) is not None
        assert await retry_after(failures) is None
        await fail(failures, 5)
        assert await retry_after(failures) == 60
        clock.now += 5
        with redis_server.running():
            assert await retry_after(failures) is None  # asked again, and knows nothing
            await fail(failures, 5)
            assert await retry_after(copy()) is not None

    async def test_while_it_is_away_nobody_waits_for_it_twice(
        self, redis_server: RedisServer, copy: Copies
    ) -> None:
        """A host that swallows packets: each question would take its whole timeout."""
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", redis_server.port))
            deaf.listen(1)
            failures = copy()
            with anyio.fail_after(5):
                await fail(failures, 100)
        assert await retry_after(failures) == 60
