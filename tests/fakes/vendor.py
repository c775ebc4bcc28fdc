"""A scripted OpenAI-compatible vendor on a loopback socket, down to single bytes.

In tests: `async with VendorServer() as vendor: vendor.then(status(401)); ...`; every request takes
the next behaviour of the script, else the default one. As a process, for benches:
`python -m tests.fakes.vendor --port 0 --tokens 50`.
"""

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}
DONE = b"data: [DONE]\n\n"
WORDS = tuple(f"词{n} " for n in range(50))


@dataclass
class Request:
    """One request as it arrived; `left` is set when the client closed the connection."""

    headers: Mapping[str, str]
    body: Any
    left: asyncio.Event = field(default_factory=asyncio.Event)


class Reply:
    """Writes one HTTP answer, as slowly and as wrongly as a behaviour likes."""

    def __init__(self, writer: asyncio.StreamWriter, request: Request) -> None:
        self._writer, self.request = writer, request
        self.cut = False

    async def start(self, status: int = 200, headers: Mapping[str, str] = _STREAM) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items())]
        if "Content-Length" not in headers:
            lines.append("Transfer-Encoding: chunked")
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        if self.request.left.is_set():
            raise ConnectionResetError("the client left")
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self._writer.transport.get_write_buffer_size() > 65536:
            await self._writer.drain()

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


Behaviour = Callable[[Reply], Awaitable[None]]


def event(text: str | None, **extra: Any) -> bytes:
    """One chunk as vendors write it; text None has an empty delta."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": None} | extra
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return data(chunk | {"choices": [choice]})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


END = (event(None, finish_reason="stop"), DONE)


def tokens(words: Sequence[str] = WORDS, *, pace: float = 0) -> Behaviour:
    """A good answer, one chunk a token."""
    return chunks([event(word) for word in words] + list(END), pace=pace)


def tool_calls(*calls: tuple[str, dict[str, Any]], said: Sequence[str] = ()) -> Behaviour:
    """An answer that calls tools, names first and arguments in halves, as vendors stream them."""
    parts = [event(word) for word in said]
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments, ensure_ascii=False)
        half = len(text) // 2
        function = {"name": name, "arguments": ""}
        call = {"index": index, "id": f"call-{index}", "type": "function", "function": function}
        parts.append(event(None, delta={"tool_calls": [call]}))
        for piece in (text[:half], text[half:]):
            call = {"index": index, "function": {"arguments": piece}}
            parts.append(event(None, delta={"tool_calls": [call]}))
    return chunks([*parts, event(None, finish_reason="tool_calls"), DONE])


def chunks(parts: Iterable[bytes], *, pace: float = 0, cut: bool = False) -> Behaviour:
    """These HTTP chunks; `cut` closes the connection instead of ending the answer."""
    parts = list(parts)

    async def behave(reply: Reply) -> None:
        await reply.start()
        for part in parts:
            await reply.chunk(part)
            if pace:
                await asyncio.sleep(pace)
        if cut:
            await reply.raw(b"")
            reply.cut = True
        else:
            await reply.end()

    return behave


def status(code: int, body: Any = None, **headers: str) -> Behaviour:
    """An error before the stream; header names with `_` for `-`."""
    text = json.dumps(body or {"error": {"message": f"scripted {code}"}}).encode()

    async def behave(reply: Reply) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fixed = {"Content-Type": "application/json", "Content-Length": str(len(text))}
        await reply.start(code, fixed | named)
        await reply.raw(text)

    return behave


def answer_json(body: Any) -> Behaviour:
    """A JSON answer with status 200 instead of a stream."""
    return status(200, body)


def hang(parts: Iterable[bytes] | None = None) -> Behaviour:
    """Say these and then nothing until the client leaves; None: not even the headers."""
    parts = None if parts is None else list(parts)

    async def behave(reply: Reply) -> None:
        if parts is not None:
            await reply.start()
            for part in parts:
                await reply.chunk(part)
        await reply.request.left.wait()
        reply.cut = True

    return behave


async def cut_before_headers(reply: Reply) -> None:
    reply.cut = True


def bytewise(stream: bytes, *, size: int = 1) -> Behaviour:
    """A stream in TCP writes of `size` bytes, each flushed: characters arrive in halves."""

    async def behave(reply: Reply) -> None:
        await reply.start()
        for at in range(0, len(stream), size):
            await reply.chunk(stream[at : at + size])
            await asyncio.sleep(0)
        await reply.end()

    return behave


class VendorServer:
    """The server; `requests` is what it was asked, `default` what it does off script."""

    def __init__(self, default: Behaviour | None = None) -> None:
        self.default = default or tokens()
        self.requests: list[Request] = []
        self._script: deque[Behaviour] = deque()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def then(self, *behaviours: Behaviour) -> None:
        self._script.extend(behaviours)

    async def start(self, *, port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or stop() was called: asyncio logs a cancelled connection
        finally:
            writer.close()
            self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        self.requests.append(request)
        behave = self._script.popleft() if self._script else self.default
        reply = Reply(writer, request)
        watch = asyncio.create_task(_watch(reader, request))
        try:
            await behave(reply)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        return not reply.cut and not request.left.is_set()


async def _watch(reader: asyncio.StreamReader, request: Request) -> None:
    try:
        gone = not await reader.read(1)  # clients do not pipeline: any return is the end
    except ConnectionError:
        gone = True
    if gone:
        request.left.set()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (h.partition(":") for h in head[1:])
        if name
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(headers, json.loads(body) if body else None)


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.vendor")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--pace", type=float, default=0, help="seconds between tokens")
    asked = parser.parse_args()
    words = [f"词{n} " for n in range(asked.tokens)]
    server = await VendorServer(tokens(words, pace=asked.pace)).start(port=asked.port)
    print(server.base_url, flush=True)  # noqa: T201 - a command line
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
