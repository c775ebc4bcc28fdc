"""Where the words of a question are in a passage."""

import re
from collections.abc import Iterable, Iterator, Sequence

from kb_service.folding import folded_with_places
from kb_service.tokens import compounds, is_ideographic


def highlights(words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Ranges of characters (start, end), ascending and apart, of `question_words` in a text.

    Of a word that is not there as a whole, the shorter words in it.
    """
    plain, places = folded_with_places(text)
    found = sorted(span for word in words for span in _spans(word, plain))
    return _joined((places[start], places[end - 1] + 1) for start, end in found)


def _spans(word: str, text: str) -> Iterator[tuple[int, int]]:
    if not is_ideographic(word):
        pattern = rf"(?<![^\W_]){re.escape(word)}(?![^\W_])"
        yield from (match.span() for match in re.finditer(pattern, text))
        return
    for part in [word] if word in text else compounds(word):
        yield from (match.span() for match in re.finditer(re.escape(part), text))


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
