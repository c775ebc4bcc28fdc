"""The event stream of an OpenAI-compatible vendor, parsed without an object per token."""

from typing import Any

import orjson

from chat_service.errors import ModelBroken

_LONGEST_LINE = 8 * 1024 * 1024
_DONE = b"[DONE]"
_NO_ERROR = (None, 0, "0", 200, "200", "")


class StreamParser:
    """Takes bytes as they come off the socket, gives the tokens of every complete line.

    `alive` says that the last bytes held a delta of any kind, reasoning included; `failure` that
    they held an error, after those tokens; `finished` that the vendor said it was done, without
    which the end of the stream is a cut.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.alive = False
        self.failure: ModelBroken | None = None
        self.finished = False

    def feed(self, data: bytes) -> list[str]:
        """Tokens of the lines that are complete now."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            self.failure = ModelBroken("a line of the stream is too long")
        return self._tokens(lines)

    def close(self) -> list[str]:
        """Tokens of a last line without its end."""
        tokens = self._tokens([self._rest])
        if not self.finished and self.failure is None:
            self.failure = ModelBroken("the stream ended before the answer did")
        return tokens

    def _tokens(self, lines: list[bytes]) -> list[str]:
        tokens: list[str] = []
        self.alive = False
        try:
            for line in lines:
                if line.startswith(b"data:"):  # else a comment, an event's name, a blank line
                    tokens.append(self._text(line[5:].strip()))
        except ModelBroken as failure:
            self.failure = failure
        return [token for token in tokens if token]

    def _text(self, data: bytes) -> str:
        if not data or data == _DONE:
            self.finished = self.finished or bool(data)
            return ""
        try:
            choice = first_choice(orjson.loads(data), data)
        except orjson.JSONDecodeError:
            raise ModelBroken(f"unreadable: {shown(data)}") from None
        if choice is None:
            return ""
        self.alive = True
        self.finished = self.finished or bool(choice.get("finish_reason"))
        return text_of(choice.get("delta"))


def first_choice(chunk: Any, raw: bytes) -> dict[str, Any] | None:
    """The first choice of a chunk; None for chunks that only carry usage. Raises ModelBroken."""
    if not isinstance(chunk, dict):
        raise ModelBroken(f"not an object: {shown(raw)}")
    if chunk.get("error"):
        raise ModelBroken(f"error in the stream: {shown(raw)}")
    choices = chunk.get("choices")
    if isinstance(choices, list) and choices:
        if isinstance(choices[0], dict):
            return choices[0]
        raise ModelBroken(f"not a choice: {shown(raw)}")
    if chunk.get("code") not in _NO_ERROR or "error_code" in chunk or "error_msg" in chunk:
        raise ModelBroken(f"error in the stream: {shown(raw)}")
    return None


def text_of(message: Any) -> str:
    """The text of a delta or a message, whose content may come in parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""


def shown(raw: bytes) -> str:
    return raw[:500].decode("utf-8", "replace")
