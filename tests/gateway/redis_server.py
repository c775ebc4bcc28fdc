"""A real Redis for tests, on a free port and without a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.programs import program
from tests.stack import free_ports


@dataclass
class RedisServer:
    """One redis-server that a test may stop and run again."""

    port: int
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def run(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "redis-server",
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(15):
            while await self.say("PING") != b"+PONG":  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def say(self, *words: str) -> bytes:
        """The first line of its answer; nothing while it does not listen."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            return b""
        writer.write(" ".join(words).encode() + b"\r\n")
        line = await reader.readline()
        writer.close()
        return line.strip()


@asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    """Skips the test where there is none; in CI there is one."""
    program("redis-server")
    (port,) = free_ports(1)
    server = RedisServer(port)
    await server.run()
    try:
        yield server
    finally:
        await server.stop()
