"""Where the words of a question are in a passage."""

import re
from collections.abc import Iterable, Iterator, Sequence

import rjieba

from kb_service.folding import folded_with_places
from kb_service.part_numbers import CODE, pattern
from kb_service.tokens import is_ideographic, stem


def highlights(words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Ranges of characters (start, end), ascending and apart, of a question's words in a text.

    Of a word that is not there as a whole, the shorter words in it, or its other forms.
    """
    plain, places = folded_with_places(text)
    found = sorted(span for word in words for span in _spans(word, plain))
    return _joined((places[start], places[end - 1] + 1) for start, end in found)


def _spans(word: str, text: str) -> Iterator[tuple[int, int]]:
    if word.startswith(CODE):
        yield from (match.span() for match in pattern(word[1:]).finditer(text))
    elif is_ideographic(word):
        shorter = (part for part in rjieba.cut_for_search(word) if len(part) > 1)
        for part in [word] if word in text else shorter:
            yield from (match.span() for match in re.finditer(re.escape(part), text))
    else:
        form = stem(word)
        for match in re.finditer(r"[^\W_]+", text):
            if match[0] == word or stem(match[0]) == form:
                yield match.span()


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
