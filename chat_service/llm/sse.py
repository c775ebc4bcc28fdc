"""The event stream of an OpenAI-compatible vendor, parsed without an object per token."""

import json
from typing import Any

import orjson

from chat_service.characters import whole_characters
from chat_service.errors import ModelBroken
from chat_service.llm import Reply
from chat_service.llm.refusals import Refused, problem_of, shown
from chat_service.llm.thinking import ThoughtSplitter

_LONGEST_LINE = 8 * 1024 * 1024
_DONE = b"[DONE]"
_EVENT = b"event:"


class StreamParser:
    """Takes bytes as they come off the socket, gives the tokens of every complete line.

    `alive` says that the last bytes held a delta of any kind, reasoning included; `failure` that
    they held an error, after those tokens; `finished` that the vendor said it was done, without
    which the end of the stream is a cut. All else that the vendor tells goes into the reply.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._thoughts = ThoughtSplitter()
        self._rest = b""
        self._half = ""  # of a character, as JSON escapes those beyond 16 bits
        self._is_error = False
        self.alive = False
        self.failure: ModelBroken | Refused | None = None
        self.finished = False

    def feed(self, data: bytes) -> list[str]:
        """Tokens of the lines that are complete now."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            self.failure = ModelBroken("a line of the stream is too long")
        return self._tokens(lines)

    def close(self) -> list[str]:
        """Tokens of a last line without its end, and what was held back."""
        tokens = self._tokens([self._rest])
        if not self.finished and self.failure is None:
            self.failure = ModelBroken("the stream ended before the answer did")
        thought, answer = self._thoughts.end()
        self._think(thought)
        return [*tokens, answer] if answer else tokens

    def _tokens(self, lines: list[bytes]) -> list[str]:
        tokens: list[str] = []
        self.alive = False
        try:
            for line in lines:
                if line.startswith(b"data:"):
                    tokens.append(self._text(line[5:].strip()))
                elif line:
                    self._other(line)
        except (ModelBroken, Refused) as failure:
            self.failure = failure
        return [token for token in tokens if token]

    def _other(self, line: bytes) -> None:
        """The name of an event, or a JSON body where a stream was promised; else a comment."""
        if line.startswith(_EVENT):
            self._is_error = line[len(_EVENT) :].strip() == b"error"
        elif line.startswith(b"{"):
            raise Refused(line, problem_of(_decoded(line)))

    def _text(self, data: bytes) -> str:
        if not data or data == _DONE:
            self.finished = self.finished or bool(data)
            return ""
        chunk = _decoded(data)
        choice = _first_choice(chunk, data)
        if self._is_error:
            raise Refused(data, problem_of({"error": chunk}))
        if chunk.get("usage"):
            self._reply.count(chunk["usage"])
        if choice is None:
            return ""
        self.alive = True
        if choice.get("finish_reason"):
            self.finished = True
        said = self._whole_characters(take(choice, choice.get("delta"), self._reply))
        thought, text = self._thoughts.feed(said)
        self._think(thought)
        return text

    def _whole_characters(self, text: str) -> str:
        """Some vendors send the halves of a surrogate pair in two deltas."""
        if text and (self._half or "\udc00" <= text[0] <= "\udfff"):
            text, self._half = whole_characters(self._half + text), ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text

    def _think(self, thought: str) -> None:
        if thought:
            self._reply.thoughts.append(thought)


def _decoded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)  # which takes half a surrogate pair
    except ValueError:
        raise ModelBroken(f"unreadable: {shown(data)}") from None


def _first_choice(chunk: Any, raw: bytes) -> dict[str, Any] | None:
    """The first choice of a chunk; None for chunks that only carry usage. Raises Refused too."""
    if not isinstance(chunk, dict):
        raise ModelBroken(f"not an object: {shown(raw)}")
    choices = chunk.get("choices")
    if isinstance(choices, list) and choices and not chunk.get("error"):
        if isinstance(choices[0], dict):
            return choices[0]
        raise ModelBroken(f"not a choice: {shown(raw)}")
    if problem := problem_of(chunk):
        raise Refused(raw, problem)
    return None


def take(choice: dict[str, Any], message: Any, reply: Reply) -> str:
    """The text of a choice's delta or message; what else the choice tells goes into the reply."""
    if reason := choice.get("finish_reason"):
        reply.finish_reason = str(reason)
    if "usage" in choice:
        reply.count(choice["usage"])
    if not isinstance(message, dict):
        return ""
    if thought := message.get("reasoning_content") or message.get("reasoning"):
        reply.thoughts.append(whole_characters(str(thought)))
    if calls := message.get("tool_calls"):
        reply.tool_calls += calls
    return _text_of(message.get("content"))


def whole(raw: bytes, reply: Reply) -> str:
    """The text of an answer that did not stream. Raises ModelBroken and Refused."""
    body = _decoded(raw)
    choice = _first_choice(body, raw)
    if choice is None:
        return ""
    reply.count(body.get("usage"))
    thoughts = ThoughtSplitter()
    said = whole_characters(take(choice, choice.get("message"), reply))
    parts = thoughts.feed(said), thoughts.end()
    reply.thoughts += [thought for thought, _ in parts if thought]
    return "".join(text for _, text in parts)


def _text_of(content: Any) -> str:
    """Content may come in parts."""
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""
