"""Text to search terms, and terms to the sparse vectors that the engine scores by BM25."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b

import rjieba

from kb_service.stopwords import STOP_CHARACTERS, STOP_WORDS
from kb_service.vectors import SparseVector

# Chosen on six sets, see bench/calibrate_lexical.py.
_K1 = 0.8
_B = 0.4
# A constant, so that a stored vector depends on its passage alone.
_USUAL_LENGTH = 250.0

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OTHER = rf"[^\W_{_IDEOGRAPHS}]+"
_RUN = re.compile(rf"([{_IDEOGRAPHS}]+)|{_OTHER}(?:[-_.'’]{_OTHER})*")
_JOINT = re.compile(r"[-_.'’]")


def terms(text: str) -> list[str]:
    """The search terms of a passage, in order, repeats kept."""
    found: list[str] = []
    for run, ideographs in _runs(text):
        if ideographs:
            found += (word for word in rjieba.cut_for_search(run) if len(word) > 1)
            found += (character for character in run if character not in STOP_CHARACTERS)
        else:
            found += _with_parts(run)
    return found


def query_terms(text: str) -> list[str]:
    """The distinct terms of a question that say what it is about; none for a greeting."""
    kept: dict[str, None] = {}
    for run, ideographs in _runs(text):
        words = rjieba.cut(run) if ideographs else _with_parts(run)
        for word in words:
            if word not in STOP_WORDS:
                kept.update(dict.fromkeys(terms(word)))
    return list(kept)


def sparse_vector(counts: Mapping[str, int]) -> SparseVector:
    """What is stored for a passage: saturated and length-normalised term frequencies."""
    norm = _K1 * (1 - _B + _B * sum(counts.values()) / _USUAL_LENGTH)
    weights: dict[int, float] = {}
    for term, count in counts.items():
        index = _index(term)
        weights[index] = weights.get(index, 0.0) + count * (_K1 + 1) / (count + norm)
    return SparseVector(list(weights), list(weights.values()))


def query_vector(terms: Iterable[str]) -> SparseVector:
    """What is asked: each distinct term once."""
    indices = list({_index(term) for term in terms})
    return SparseVector(indices, [1.0] * len(indices))


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        yield match[0], match[1] is not None


def _with_parts(word: str) -> list[str]:
    parts = [part for part in _JOINT.split(word) if part]
    return [word, *parts] if len(parts) > 1 else [word]


@lru_cache(maxsize=50_000)
def _index(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest())
