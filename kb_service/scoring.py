"""How far a passage is from a question: 0 the same, 1 the default limit, 2 nothing in common."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb_service.folding import folded
from kb_service.tokens import characters, compounds, is_ideographic, spaced_words

# Measured by bench/calibrate_lexical.py: of the right passages among the first five this keeps more
# than 99 of 100 on six public sets and 94 of 100 on our own paraphrases, while 45 to 70 of 100
# questions about something else find nothing in a small knowledge base. More would be lost than
# gained beyond: at 0.25 it is 69 of 100 paraphrases against 78 to 94 of 100.
_COVERAGE_AT_ONE = 0.12
# Characters of a word that is not there as a word: weak evidence.
_LOOSE_CHARACTER = 0.15


def idf(chunks: int, frequency: int) -> float:
    """How much a term tells: the engine's own formula."""
    return math.log1p((chunks - frequency + 0.5) / (frequency + 0.5))


def dense_distance(similarity: float) -> float:
    """The squared distance of unit vectors, as the old server answered, never above 2."""
    return min(max(2 - 2 * similarity, 0.0), 2.0)


class LexicalDistance:
    """Falls with coverage: the share of the question's IDF mass that a passage's text has."""

    def __init__(self, words: Sequence[str], idf_of: Callable[[str], float]) -> None:
        self._ideographic = [_weigh(word, idf_of) for word in words if is_ideographic(word)]
        self._spaced = [(word, idf_of(word)) for word in words if not is_ideographic(word)]
        self._mass = sum(word.mass for word in self._ideographic) + sum(
            mass for _, mass in self._spaced
        )

    def of(self, content: str) -> float:
        coverage = self.coverage(content)
        if coverage >= _COVERAGE_AT_ONE:
            return (1 - coverage) / (1 - _COVERAGE_AT_ONE)
        return 2 - coverage / _COVERAGE_AT_ONE

    def coverage(self, content: str) -> float:
        text = folded(content)
        found = sum(word.found_in(text) for word in self._ideographic)
        if self._spaced:
            present = spaced_words(text)
            found += sum(mass for word, mass in self._spaced if word in present)
        return found / self._mass if self._mass else 0.0


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    compounds: list[str]
    characters: list[tuple[str, float]]
    mass: float

    def found_in(self, text: str) -> float:
        if self.text in text:
            return self.mass
        whole = "".join(part for part in self.compounds if part in text)
        return sum(
            mass if character in whole else mass * _LOOSE_CHARACTER
            for character, mass in self.characters
            if character in text
        )


def _weigh(word: str, idf_of: Callable[[str], float]) -> _Word:
    weighed = [(character, idf_of(character)) for character in characters(word)]
    parts = compounds(word) if len(word) > 2 else []
    return _Word(word, parts, weighed, sum(mass for _, mass in weighed))
