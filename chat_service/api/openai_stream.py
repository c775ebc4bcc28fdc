"""Chat completions as they are written: chunks of an event stream, or one object."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import orjson
from fastapi import Response
from starlette.types import Receive, Scope, Send

from chat_service.api.openai_errors import error_body, error_response
from chat_service.api.stream import LONGEST, STREAM_HEADERS, until_client_leaves
from chat_service.chat_completions import Asked, Run, usage
from chat_service.errors import AnswerFailed
from chat_service.llm import Reply
from chat_service.wire import Source
from servicekit.errors import SafeJSONResponse, ServiceError

_KEEP_ALIVE_EVERY = 10.0
Suggest = Callable[[Asked, str], Awaitable[list[str]]]
_DONE = b"data: [DONE]\n\n"

logger = logging.getLogger(__name__)


class CompletionStream(Response):
    """Nothing is sent before the first token, so that a failure until then has its true status.

    When the client leaves, the answer is cancelled.
    """

    def __init__(
        self,
        run: Run,
        asked: Asked,
        *,
        whole: bool,
        include_usage: bool,
        address: str,
        suggest: Suggest | None = None,
    ) -> None:
        super().__init__()
        self._run, self._asked, self._whole, self._suggest = run, asked, whole, suggest
        self._include_usage, self._address = include_usage, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply()
        heard = _Heard(self._asked, reply, self._address)
        writer = _Whole(heard) if self._whole else _Chunks(heard, self._include_usage)
        writer.bind(scope, receive, send)
        async with anyio.create_task_group() as group:
            group.cancel_scope.deadline = anyio.current_time() + LONGEST
            group.start_soon(until_client_leaves, receive, group.cancel_scope)
            group.start_soon(writer.keep_alive)
            await self._answer(writer, reply)
            group.cancel_scope.cancel()

    async def _answer(self, writer: "_Whole | _Chunks", reply: Reply) -> None:
        try:
            await self._run(writer, reply)
        except ServiceError as error:
            logger.warning("%s", getattr(error, "detail", error))
            await writer.fail(error)
        except Exception:  # the boundary of the stream: it ends with an error that clients read
            logger.exception("a chat completion failed")
            await writer.fail(AnswerFailed())
        else:
            if self._suggest:
                heard = writer.heard
                heard.follow_ups = await self._suggest(self._asked, "".join(heard.said))
            await writer.end()


class _Heard:
    """What was said so far, and what every chunk or object tells of it."""

    def __init__(self, asked: Asked, reply: Reply, address: str) -> None:
        self.asked, self.reply, self._address = asked, reply, address
        self.said: list[str] = []
        self.citations: list[dict[str, Any]] = []
        self.follow_ups: list[str] = []
        self.about = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": asked.model,
        }

    @property
    def finish_reason(self) -> str:
        return self.reply.finish_reason or ("tool_calls" if self.reply.tool_calls else "stop")

    @property
    def more(self) -> dict[str, Any]:
        """Fields of ours, where there is something in them."""
        fields = {"citations": self.citations, "follow_ups": self.follow_ups}
        return {name: value for name, value in fields.items() if value}

    @property
    def usage(self) -> dict[str, int]:
        return usage(self.asked, self.reply, "".join(self.said)).model_dump()

    def cite(self, citations: Sequence[Source] | None) -> str:
        """The sources as markdown, after they were noted."""
        lines = []
        for number, source in enumerate(citations or (), 1):
            reference = source.reference.replace("](/", f"]({self._address}/", 1)
            self.citations.append(
                {"number": number, "reference": reference, "content": source.content}
            )
            lines.append(f"[{number}] {reference}")
        return "\n\n---\n" + "  \n".join(lines) if lines else ""


class _Writer:
    """What both ways of writing share."""

    def __init__(self, heard: _Heard) -> None:
        self.heard = heard

    def bind(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._connection = scope, receive, send

    async def unanswered(self, failure: ServiceError) -> None:
        """It keeps its status."""
        raise failure

    async def respond(self, response: Response) -> None:
        await response(*self._connection)


class _Whole(_Writer):
    """Collects the answer and writes it as one object."""

    async def text(self, tokens: list[str]) -> None:
        self.heard.said += tokens

    async def thoughts(self, thoughts: list[str]) -> None:
        """The reply keeps them."""

    async def tool_calls(self, deltas: list[Any]) -> None:
        """The reply keeps them."""

    async def docs(self, citations: Sequence[Source] | None) -> None:
        self.heard.said.append(self.heard.cite(citations))

    async def keep_alive(self) -> None:
        """One object only: nothing may come before it."""

    async def fail(self, error: ServiceError) -> None:
        await self.respond(error_response(error))

    async def end(self) -> None:
        heard, reply = self.heard, self.heard.reply
        calls = _joined(reply.tool_calls)
        message: dict[str, Any] = {"role": "assistant", "content": "".join(heard.said) or None}
        message |= {"tool_calls": calls} if calls else {}
        message |= {"reasoning_content": reply.reasoning} if reply.thoughts else {}
        choice = {"index": 0, "message": message, "finish_reason": heard.finish_reason}
        body = heard.about | {"object": "chat.completion", "choices": [choice | _NO_LOGPROBS]}
        await self.respond(SafeJSONResponse(body | {"usage": heard.usage} | heard.more))


class _Chunks(_Writer):
    """Writes each batch of tokens as one chunk, and a comment in long silences."""

    def __init__(self, heard: _Heard, include_usage: bool) -> None:
        super().__init__(heard)
        self._include_usage = include_usage
        self._wrote_at = time.monotonic()
        self._started = False
        about = orjson.dumps(heard.about | {"object": "chat.completion.chunk"})
        self._before = b"data: " + about[:-1] + b',"choices":[{"index":0,"delta":'

    async def text(self, tokens: list[str]) -> None:
        self.heard.said += tokens
        await self._delta({"content": "".join(tokens)})

    async def thoughts(self, thoughts: list[str]) -> None:
        await self._delta({"reasoning_content": "".join(thoughts)})

    async def tool_calls(self, deltas: list[Any]) -> None:
        await self._delta({"tool_calls": deltas})

    async def docs(self, citations: Sequence[Source] | None) -> None:
        if markdown := self.heard.cite(citations):
            await self.text([markdown])

    async def keep_alive(self) -> None:
        while True:
            silence = time.monotonic() - self._wrote_at
            if self._started and silence >= _KEEP_ALIVE_EVERY:
                await self._write(b": still here\n\n")
            else:
                await anyio.sleep(max(_KEEP_ALIVE_EVERY - silence, 1))

    async def fail(self, error: ServiceError) -> None:
        if not self._started:
            await self.respond(error_response(error))
            return
        await self._write(b"data: " + orjson.dumps(error_body(error).model_dump()) + b"\n\n")
        await self._finish()

    async def end(self) -> None:
        heard = self.heard
        await self._delta({}, heard.finish_reason, **heard.more)
        if self._include_usage:
            last = heard.about | {"object": "chat.completion.chunk", "choices": []}
            await self._write(b"data: " + orjson.dumps(last | {"usage": heard.usage}) + b"\n\n")
        await self._write(_DONE)
        await self._finish()

    async def _delta(
        self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any
    ) -> None:
        if not self._started:
            delta = {"role": "assistant", **delta}
        rest = orjson.dumps(_NO_LOGPROBS | {"finish_reason": finish_reason})
        after = orjson.dumps(more)[1:] if more else b"}"
        await self._write(
            self._before
            + _dumped(delta)
            + b","
            + rest[1:]
            + b"]"
            + (b"," if more else b"")
            + after
            + b"\n\n"
        )

    async def _write(self, body: bytes) -> None:
        send = self._connection[2]
        if not self._started:
            self._started = True
            headers = Response(headers=STREAM_HEADERS, media_type="text/event-stream").raw_headers
            kept = [pair for pair in headers if pair[0] != b"content-length"]
            await send({"type": "http.response.start", "status": 200, "headers": kept})
        self._wrote_at = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _finish(self) -> None:
        await self._connection[2]({"type": "http.response.body", "body": b""})


_NO_LOGPROBS: dict[str, Any] = {"logprobs": None}


def _dumped(delta: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(delta)
    except orjson.JSONEncodeError:  # half a character, which UTF-8 has no bytes for
        return SafeJSONResponse(delta).render(delta)


def _joined(deltas: list[Any]) -> list[dict[str, Any]]:
    """Whole tool calls of the deltas that they came in."""
    calls: dict[int, dict[str, Any]] = {}
    for delta in (one for one in deltas if isinstance(one, dict)):
        call = calls.setdefault(
            delta.get("index") or 0,
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        call["id"] = delta.get("id") or call["id"]
        function = delta.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
    return [calls[index] for index in sorted(calls)]
