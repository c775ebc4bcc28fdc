"""Every so many characters, wherever that is in a sentence."""

import re
from collections.abc import Iterable, Iterator

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import split_sections

# What a cut would spoil: a word of a spaced script, a character with its marks, a joined emoji.
_WHOLE = re.compile(
    r"[0-9A-Za-z\u00c0-\u024f\u0370-\u052f_]+"
    r"|.(?:[\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]|\u200d.)+"
    r"|[\U0001f1e6-\U0001f1ff]{2}"
)
_LONGEST = 64  # a longer one is cut all the same


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(sections, options, text=_fixed)


def _fixed(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    text = section.text
    # With no more than that each chunk goes further than the one before.
    slack = min(_LONGEST, options.size - options.overlap - 1)
    start = 0
    while start < len(text):
        end = _end(text, start + options.size, slack)
        if chunk := text[start:end].strip():
            yield CustomDoc(chunk, section.metadata)
        start = len(text) if end == len(text) else _start(text, end - options.overlap, end)


def _end(text: str, end: int, slack: int) -> int:
    """The end, or a little before it, so that nothing is cut that belongs together."""
    if end >= len(text):
        return len(text)
    for whole in _WHOLE.finditer(text, end - slack, end + 1):
        if end - slack < whole.start() and whole.end() > end:
            return whole.start()
    return end


def _start(text: str, at: int, end: int) -> int:
    """The place, or a little behind it, where the overlap does not begin inside a word."""
    for whole in _WHOLE.finditer(text, at - 1, min(end, at + _LONGEST)):
        if whole.start() < at < whole.end() < at + _LONGEST:
            return whole.end()
    return at
