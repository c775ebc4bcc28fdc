"""`<think>...</think>` at the start of an answer: how local servers show what a model thinks."""

from enum import Enum, auto

_OPEN, _CLOSE = "<think>", "</think>"


class _At(Enum):
    START = auto()
    THOUGHTS = auto()
    GAP = auto()
    ANSWER = auto()


class ThoughtSplitter:
    """Parts a streamed text into thoughts and answer; a tag may come in pieces.

    Only an answer that begins with the tag has thoughts: further on it is text like any other.
    """

    def __init__(self) -> None:
        self._at = _At.START
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """What is certain now: some of the thoughts, some of the answer."""
        if self._at is _At.ANSWER:
            return "", text
        self._held += text
        if self._at is _At.START:
            self._start()
        thought = self._thought() if self._at is _At.THOUGHTS else ""
        if self._at is _At.GAP and self._held.strip():
            self._at, self._held = _At.ANSWER, self._held.lstrip()
        if self._at is not _At.ANSWER:
            return thought, ""
        answer, self._held = self._held, ""
        return thought, answer

    def end(self) -> tuple[str, str]:
        """What was held back, when the text ends there."""
        held, self._held = self._held, ""
        return (held, "") if self._at is _At.THOUGHTS else ("", held.strip())

    def _start(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._at, self._held = _At.THOUGHTS, begun[len(_OPEN) :]
        elif not _OPEN.startswith(begun):  # which it does while there is only white space
            self._at = _At.ANSWER

    def _thought(self) -> str:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._at, self._held = _At.GAP, rest
            return thought
        certain = len(thought) - _overlap(thought)
        self._held = thought[certain:]
        return thought[:certain]


def _overlap(text: str) -> int:
    """How many of the last characters may be the beginning of the closing tag."""
    sizes = range(min(len(text), len(_CLOSE) - 1), 0, -1)
    return next((size for size in sizes if _CLOSE.startswith(text[-size:])), 0)
