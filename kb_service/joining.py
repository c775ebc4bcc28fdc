"""Neighbouring chunks as one text, without what they share said twice."""

from collections.abc import Iterable

_LONGEST_OVERLAP = 1_000


def joined(chunks: Iterable[str]) -> str:
    """In the order given; what does not overlap is put on lines of its own."""
    text = ""
    for chunk in chunks:
        said = shared(text, chunk)
        text += chunk[said:] if said or not text else f"\n{chunk}"
    return text


def shared(before: str, after: str) -> int:
    """The length of the longest end of the one that the other begins with."""
    most = min(len(before), len(after), _LONGEST_OVERLAP)
    return next((n for n in range(most, 0, -1) if before.endswith(after[:n])), 0)
