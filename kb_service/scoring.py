"""How far a passage is from a question: 0 the same, 1 the default limit, 2 nothing in common."""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

import rjieba

from kb_service.folding import folded
from kb_service.part_numbers import CODE, pieces
from kb_service.tokens import characters, is_ideographic, parts, spaced_terms, stem

# Chosen by `make eval`, see docs/retrieval.md. A passage is relevant that has half of what is
# asked, or so much of it that chance would not bring it about among as many chunks.
_ENOUGH = 0.5
_EVIDENCE, _EVIDENCE_BY_SIZE = 3.0, 0.4
# What is there in parts only is weak evidence.
_LOOSE_CHARACTER = 0.15
_OTHER_FORM = 0.8
_LOOSE_PIECE = 0.3

# How often words are in Chinese text at large, and how many a passage has.
_WORDS_COUNTED = 60e6
_WORDS_A_PASSAGE = 120
_MOST_TOLD = 7.0  # a word nobody has counted may be a slip of the cut


def idf(chunks: int, frequency: int) -> float:
    """How much a term tells: the engine's own formula."""
    return math.log1p((chunks - frequency + 0.5) / (frequency + 0.5))


def dense_distance(similarity: float) -> float:
    """The squared distance of unit vectors, as the old server answered, never above 2."""
    return min(max(2 - 2 * similarity, 0.0), 2.0)


class LexicalDistance:
    """Falls with coverage, the share of what is asked that a passage's text has.

    Each variant says the same in other words; the nearest one counts. Of a name it is no evidence
    that a passage has shorter words of it.
    """

    def __init__(
        self,
        variants: Sequence[Sequence[str]],
        idf_of: Callable[[str], float],
        chunks: int,
        names: Set[str] = frozenset(),
    ) -> None:
        self._variants = [
            [_weigh(word, idf_of, whole=word in names) for word in words] for words in variants
        ]
        self._has_spaced = any(not word.characters for words in self._variants for word in words)
        self._needed = _EVIDENCE + _EVIDENCE_BY_SIZE * math.log(max(chunks, 1))

    def of(self, content: str) -> float:
        text = folded(content)
        present = spaced_terms(text) if self._has_spaced else set[str]()
        return min((self._of(words, text, present) for words in self._variants), default=2.0)

    def _of(self, words: "Sequence[_Word]", text: str, present: set[str]) -> float:
        mass = sum(word.mass for word in words)
        if not mass:
            return 2.0
        found = sum(word.mass * word.share_in(text, present) for word in words)
        coverage = min(found / mass, 1.0)
        relevance = max(coverage / _ENOUGH, found / self._needed)
        return 1 - coverage if relevance >= 1 else 2 - relevance


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    mass: float
    compounds: list[str]
    characters: list[tuple[str, float]]  # each with its share of the word
    pieces: list[str]

    def share_in(self, text: str, present: set[str]) -> float:
        if self.characters:
            return self._ideographic_share(text)
        if self.text in present or (self.pieces and self.text in text):
            return 1.0
        if self.pieces:
            return _LOOSE_PIECE * sum(p in present for p in self.pieces) / len(self.pieces)
        return _OTHER_FORM if stem(self.text) in present else 0.0

    def _ideographic_share(self, text: str) -> float:
        if self.text in text:
            return 1.0
        whole = "".join(part for part in self.compounds if part in text)
        return sum(
            share if character in whole else share * _LOOSE_CHARACTER
            for character, share in self.characters
            if character in text
        )


def _weigh(word: str, idf_of: Callable[[str], float], *, whole: bool) -> _Word:
    if is_ideographic(word):
        weighed = [(character, idf_of(character)) for character in characters(word)]
        total = sum(told for _, told in weighed)
        shares = [(character, told / total) for character, told in weighed]
        compounds = [] if whole or len(word) < 3 else rjieba.cut_for_search(word)
        wider = [part for part in compounds if len(part) > 1]
        return _Word(word, _told_at_large(word), wider, shares, [])
    # Words of other scripts are counted nowhere but here, and at large are rarer than here.
    found = pieces(word) if word[0] == CODE else parts(word)
    return _Word(word, idf_of(word) + 1, [], [], found if len(found) > 1 else [])


@lru_cache(maxsize=20_000)
def _told_at_large(word: str) -> float:
    """How much it tells that a word is in a passage, whatever the knowledge base is about."""
    is_known = len(word) > 1 or rjieba.has_word(word)
    share = min(rjieba.suggest_freq(word) / _WORDS_COUNTED, 0.5) if is_known else 1 / _WORDS_COUNTED
    return min(-math.log(-math.expm1(_WORDS_A_PASSAGE * math.log1p(-share))), _MOST_TOLD)
