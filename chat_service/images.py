"""Remote images in an answer become links: to show one would tell its server what was asked.

What a document says must not reach the outside through a picture that a client loads by itself.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

_LONGEST_ALT = 1_000
# `&` begins a character that is written as an entity, a backslash one that needs no escape: clients
# read `&#104;ttp\://` as `http://`. Lines of a quotation begin with `>`.
_BEFORE = r"[\s<>]*"
_REMOTE = rf"{_BEFORE}(?:https?\\?:|h?t{{0,2}}p?s?&|\\?/[/&\\]|\\\\)"
_BEGUN = rf"{_BEFORE}(?:htt?|https?\\?|h|\\?/?)\Z"
_TARGET = re.compile(rf"\({_REMOTE}", re.IGNORECASE)
_BEGUN_TARGET = re.compile(rf"\Z|\({_BEGUN}", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_BEGUN_DEFINITION = re.compile(rf"\](?:\Z|:{_BEGUN})", re.IGNORECASE)
_DEFINITION = re.compile(rf"\](?=:{_REMOTE})", re.IGNORECASE)


class ImageFilter:
    """Takes an answer piece by piece; holds back only what may still become an image."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What may be shown so far."""
        if not self._held and "!" not in text and "]" not in text:
            return text
        return self._release(self._held + text, ended=False)

    def close(self) -> str:
        """The rest."""
        return self._release(self._held, ended=True)

    def _release(self, text: str, *, ended: bool) -> str:
        shown, self._held = _defused(text, ended=ended)
        return shown


def defused(text: str) -> str:
    """The text without remote images."""
    return _defused(text, ended=True)[0] if "![" in text or "]:" in text else text


async def without_images(
    stream: AsyncGenerator[list[str], None],
) -> AsyncGenerator[list[str], None]:
    """The tokens without remote images; an empty list stays a sign of life."""
    images = ImageFilter()
    async with aclosing(stream):
        async for tokens in stream:
            yield [shown for token in tokens if (shown := images.feed(token))]
    if rest := images.close():
        yield [rest]


def _defused(text: str, *, ended: bool) -> tuple[str, str]:
    """What is decided, and what is not."""
    shown: list[str] = []
    at = 0
    while (mark := text.find("!", at)) >= 0:
        shown.append(text[at:mark])
        after = mark + len(text[mark:]) - len(text[mark:].lstrip("!"))
        is_image = _is_image(text[after - 1 :])
        if is_image is None and not ended:
            return _without_definitions("".join(shown)), text[mark:]
        shown.append("" if is_image else text[mark:after])  # of `!![` no `![` stays
        at = after
    shown.append(text[at:])
    said = "".join(shown)
    undecided = None if ended else _BEGUN_DEFINITION.search(said)
    split = undecided.start() if undecided else len(said)
    return _without_definitions(said[:split]), said[split:]


def _is_image(text: str) -> bool | None:
    """Whether what starts with `!` is a remote image; None while that is not known."""
    if len(text) == 1:
        return None
    if text[1] != "[":
        return False
    end = _end_of_alt(text)
    if end < 0:
        return None if end == _UNKNOWN else len(text) > _LONGEST_ALT
    target = text[end + 1 :]
    if _TARGET.match(target):
        return True
    if _BEGUN_TARGET.match(target):
        return True if len(target) > _LONGEST_ALT else None
    return False


_UNKNOWN, _NONE = -1, -2


def _end_of_alt(text: str) -> int:
    """Where the bracket closes that `![` opens; brackets in it are balanced."""
    depth = 0
    escaped = False
    for at, character in enumerate(text[1:_LONGEST_ALT], 1):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                return at
    return _NONE if len(text) >= _LONGEST_ALT or _BLANK_LINE.search(text) else _UNKNOWN


def _without_definitions(text: str) -> str:
    """`[name]: https://…` names a target for `![alt][name]`; with a space it is only text."""
    return _DEFINITION.sub("] ", text) if "]:" in text else text
