"""Text to search terms, and terms to the sparse vectors that the engine scores by BM25.

A passage's terms are its words (every dictionary word, also those inside longer ones) and its
single characters; a question's are the same without the words that say nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

import rjieba

from kb_service.folding import folded
from kb_service.stopwords import STOP_CHARACTERS, STOP_WORDS
from kb_service.vectors import SparseVector

# Chosen on seven sets at once, see bench/calibrate_lexical.py.
_K1 = 0.8
_B = 0.4
_COMPOUND_WEIGHT = 0.5  # in a question; the characters of the word count as well
# A constant, so that a stored vector depends on its passage alone.
_USUAL_LENGTH = 300.0

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OTHER = rf"[^\W_{_IDEOGRAPHS}]+"
_RUN = re.compile(rf"([{_IDEOGRAPHS}]+)|{_OTHER}(?:[-_.'’]{_OTHER})*")
_JOINT = re.compile(r"[-_.'’]")
_STARTS_IDEOGRAPHIC = re.compile(f"[{_IDEOGRAPHS}]")


def terms(text: str) -> list[str]:
    """The search terms of a passage, repeats kept."""
    found: list[str] = []
    for run, ideographic in _runs(text):
        if ideographic:
            found += [word for word in rjieba.cut_for_search(run) if len(word) > 1]
            found += characters(run)
        else:
            found += _with_parts(run)
    return found


def question_words(text: str) -> list[str]:
    """The distinct words that say what is asked; none for a greeting."""
    kept: dict[str, None] = {}
    for run, ideographic in _runs(text):
        words = rjieba.cut(run) if ideographic else [part for part in _JOINT.split(run) if part]
        kept.update((word, None) for word in words if word not in STOP_WORDS)
    return [word for word in kept if not is_ideographic(word) or characters(word)]


def characters(word: str) -> list[str]:
    """The characters of an ideographic word that can tell passages apart."""
    return [character for character in word if character not in STOP_CHARACTERS]


def compounds(word: str) -> list[str]:
    """The dictionary words of two and more characters in an ideographic word, itself included."""
    return [part for part in rjieba.cut_for_search(word) if len(part) > 1]


def is_ideographic(term: str) -> bool:
    return _STARTS_IDEOGRAPHIC.match(term) is not None


def spaced_words(text: str) -> set[str]:
    """The words of a folded text that are not ideographic, joined ones also in parts."""
    return {
        word for match in _RUN.finditer(text) if match[1] is None for word in _with_parts(match[0])
    }


def sparse_vector(counts: Mapping[str, int]) -> SparseVector:
    """What is stored for a passage: saturated and length-normalised term frequencies."""
    norm = _K1 * (1 - _B + _B * sum(counts.values()) / _USUAL_LENGTH)
    weights: dict[int, float] = {}
    for term, count in counts.items():
        index = _index(term)
        weights[index] = weights.get(index, 0.0) + count * (_K1 + 1) / (count + norm)
    return SparseVector(list(weights), list(weights.values()))


def query_vector(words: Sequence[str]) -> SparseVector:
    """What is asked for, from `question_words`; the engine multiplies by IDF."""
    weights: dict[int, float] = {}
    for word in words:
        if is_ideographic(word):
            weights.update((_index(part), _COMPOUND_WEIGHT) for part in compounds(word))
            weights.update((_index(character), 1.0) for character in characters(word))
        else:
            weights[_index(word)] = 1.0
    return SparseVector(list(weights), list(weights.values()))


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    for match in _RUN.finditer(folded(text)):
        yield match[0], match[1] is not None


def _with_parts(word: str) -> list[str]:
    parts = [part for part in _JOINT.split(word) if part]
    return [word, *parts] if len(parts) > 1 else [word]


@lru_cache(maxsize=50_000)
def _index(term: str) -> int:
    digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")
