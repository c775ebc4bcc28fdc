"""Text to pieces of at most so many characters, cut where a reader would pause."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

# In this order; each stays at the end of its piece. White space is the last resort before a cut.
_SEPARATORS = tuple(
    map(
        re.compile,
        (r"\n{2,}", r"\n", r"[。！？][”’」』）]*", r"[.!?]\s", r"；|;\s", r"，|,\s", r"\s"),
    )
)
_BLANK_LINES = re.compile(r"\n{2,}")


def split_text(text: str, size: int, overlap: int) -> Iterator[str]:
    """Pieces without blank lines; each begins with at most `overlap` characters of the last."""
    for piece in _split(text, size, overlap, 0):
        if stripped := _BLANK_LINES.sub("\n", piece.strip()):
            yield stripped


def _split(text: str, size: int, overlap: int, level: int) -> Iterator[str]:
    if len(text) <= size:
        yield text
        return
    pieces = [text]
    while len(pieces) == 1 and level < len(_SEPARATORS):
        pieces = _pieces(text, _SEPARATORS[level])
        level += 1
    if len(pieces) == 1:
        for at in range(0, len(text) - overlap, size - overlap):
            yield text[at : at + size]
        return
    short: list[str] = []
    for piece in pieces:
        if len(piece) <= size:
            short.append(piece)
            continue
        yield from _merge(short, size, overlap)
        short = []
        yield from _split(piece, size, overlap, level)
    yield from _merge(short, size, overlap)


def _pieces(text: str, separator: re.Pattern[str]) -> list[str]:
    cuts = [0, *(found.end() for found in separator.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def _merge(pieces: Iterable[str], size: int, overlap: int) -> Iterator[str]:
    """Neighbours together as long as they fit, each chunk beginning with the end of the last."""
    held: deque[str] = deque()
    length = 0
    for piece in pieces:
        if held and length + len(piece) > size:
            yield "".join(held)
            while held and (length > overlap or length + len(piece) > size):
                length -= len(held.popleft())
        held.append(piece)
        length += len(piece)
    if held:
        yield "".join(held)
