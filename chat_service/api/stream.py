"""The response that streams an answer, and the readers that write it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from fastapi import Response
from starlette.types import Receive, Scope, Send

from chat_service.wire import (
    Format,
    RawText,
    Source,
    docs_chunk,
    document_list,
    final_chunk,
    tool_chunk,
)
from servicekit.errors import ServiceError

STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Bare JSON objects, one a token; or the error envelope as one JSON object",
        "content": {"text/event-stream": {}, "application/json": {}},
    }
}
STREAMED_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The text itself, as it comes", "content": {"text/event-stream": {}}}
}
LONGEST = 900  # seconds: a client that stopped reading must not hold a model for ever


class AnswerStream(Response):
    """Sends the headers at once, then the answer; notices at once when the client leaves.

    `answer` says it to the reader that it is given, which has the methods of every mode.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        answer: "Callable[[_StreamReader | _WholeReader], Awaitable[None]]",
        fmt: Format | RawText,
        *,
        whole: bool,
        keep_alive_every: float = 10,
    ) -> None:
        super().__init__(headers=STREAM_HEADERS)
        del self.headers["content-length"]
        self._answer, self._format, self._whole = answer, fmt, whole
        self._keep_alive_every = keep_alive_every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        kind = _WholeReader if self._whole else _StreamReader
        reader = kind(send, self._format)
        async with anyio.create_task_group() as group:
            group.cancel_scope.deadline = anyio.current_time() + LONGEST
            group.start_soon(until_client_leaves, receive, group.cancel_scope)
            group.start_soon(reader.keep_alive, self._keep_alive_every)
            await self._answer(reader)
            group.cancel_scope.cancel()
        await reader.end()


class _StreamReader:
    """Writes whole objects as the answer comes, and a sign of life in long silences."""

    def __init__(self, send: Send, fmt: Format | RawText) -> None:
        self._send, self._format = send, fmt
        self._wrote_at = time.monotonic()

    async def text(self, tokens: list[str]) -> None:
        for write in self._format.text(tokens):
            await self._write(write)

    async def docs(self, citations: Sequence[Source] | None) -> None:
        await self._write(docs_chunk(citations))

    async def unanswered(self, failure: ServiceError) -> None:
        await self.text([str(failure)])

    async def tool(self, lines: list[str]) -> None:
        await self._write(tool_chunk(lines))

    async def final(self, answer: str) -> None:
        await self._write(final_chunk(answer))

    async def keep_alive(self, every: float) -> None:
        while True:
            silence = time.monotonic() - self._wrote_at
            if silence >= every:
                await self._write(self._format.keep_alive)
            else:
                await anyio.sleep(every - silence)

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _write(self, body: bytes) -> None:
        self._wrote_at = time.monotonic()
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


class _WholeReader:
    """Collects the answer and writes it as one object."""

    def __init__(self, send: Send, fmt: Format | RawText) -> None:
        self._send, self._format = send, fmt
        self._said: list[str] = []
        self._docs: list[str] = []
        self._final = ""

    async def text(self, tokens: list[str]) -> None:
        self._said += tokens

    async def docs(self, citations: Sequence[Source] | None) -> None:
        self._docs = document_list(citations)

    async def unanswered(self, failure: ServiceError) -> None:
        await self.text([str(failure)])

    async def tool(self, lines: list[str]) -> None:
        self._said.append("\n".join(lines))

    async def final(self, answer: str) -> None:
        self._final = answer

    async def keep_alive(self, every: float) -> None:
        """One object only: nothing may come before it."""

    async def end(self) -> None:
        body = self._format.whole("".join(self._said), self._docs, self._final)
        await self._send({"type": "http.response.body", "body": body})


async def until_client_leaves(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
