"""Text to search terms, and a passage's terms to the sparse vector that the engine scores by BM25.

A passage's terms are its single characters and its pairs of neighbouring characters, and of scripts
with spaces its words, their stems and its part numbers. No dictionary has a say in them: what is
stored stays right whatever words an installation adds later.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from math import sqrt

import Stemmer

from kb_service.folding import folded
from kb_service.part_numbers import CODE, codes
from kb_service.stopwords import STOP_CHARACTERS
from kb_service.vectors import SparseVector

# Of all that decides what is stored: the number goes up with every change of it, and indexes of
# another number are made anew.
LEXICAL_RECIPE = 2

# Chosen by `make eval`, see docs/retrieval.md.
_K1 = 0.9
_B = 0.7
# A constant, so that a stored vector depends on its passage alone. Lengths count by their square
# root: the same constant then does for questions of ten characters and for pages.
_USUAL_LENGTH = 150.0

_STEM = "~"
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OTHER = rf"[^\W_{_IDEOGRAPHS}]+"
_RUN = re.compile(rf"([{_IDEOGRAPHS}]+)|{_OTHER}(?:[-_.'’]{_OTHER})*")
_JOINT = re.compile(r"[-_.'’\s]")
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")
_ENGLISH = re.compile("[a-z]{3,}")


def terms(text: str) -> list[str]:
    """The search terms of a passage, repeats kept."""
    plain = folded(text)
    found = [CODE + code for code in codes(plain)]
    for run, ideographic in runs(plain):
        if ideographic:
            found += characters(run)
            found += pairs(run)
        else:
            words = with_parts(run)
            found += words
            found += map(stem, words)
    return found


def counted(terms: Iterable[str]) -> list[str]:
    """Those whose frequency in a knowledge base is kept: single characters and spaced words."""
    return [
        term
        for term in terms
        if (len(term) == 1 or not is_ideographic(term)) and term[0] not in (_STEM, CODE)
    ]


def sparse_vector(counts: Mapping[str, int]) -> SparseVector:
    """What is stored for a passage: saturated and length-normalised term frequencies."""
    length = sum([counts[term] for term in counted(counts)])
    norm = _K1 * (1 - _B + _B * sqrt(length / _USUAL_LENGTH))
    once, weights = (_K1 + 1) / (1 + norm), dict[int, float]()
    for term, count in counts.items():
        # A part number is there or it is not, so that the rest of a question orders what has it.
        if term[0] == CODE:
            weight = 1.0
        else:
            weight = once if count == 1 else count * (_K1 + 1) / (count + norm)
        index = index_of(term)
        weights[index] = weights[index] + weight if index in weights else weight
    return SparseVector(list(weights), list(weights.values()))


def runs(plain: str) -> Iterator[tuple[str, bool]]:
    """The parts of a folded text that are made of letters, and whether they are ideographic."""
    for match in _RUN.finditer(plain):
        yield match[0], match[1] is not None


def characters(word: str) -> list[str]:
    """The characters of an ideographic word that can tell passages apart."""
    return [character for character in word if character not in STOP_CHARACTERS]


def pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


def parts(word: str) -> list[str]:
    return [part for part in _JOINT.split(word) if part]


def with_parts(word: str) -> list[str]:
    found = parts(word)
    return [word, *found] if len(found) > 1 else [word]


def stem(word: str) -> str:
    """The term for all forms of a word."""
    return _STEM + (_stemmed(word) if _ENGLISH.fullmatch(word) else word)


def is_ideographic(term: str) -> bool:
    """Whether there is an ideograph in it, as also in a name such as X1碳纤维."""
    return "\u3400" <= term[0] <= "\u9fff" or _IDEOGRAPH.search(term) is not None


def spaced_terms(plain: str) -> set[str]:
    """The words, stems and part numbers of a folded text that are not ideographic."""
    words = {
        word for run, ideographic in runs(plain) if not ideographic for word in with_parts(run)
    }
    return words.union(map(stem, words), (CODE + code for code in codes(plain)))


@lru_cache(maxsize=50_000)
def index_of(term: str) -> int:
    digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


@lru_cache(maxsize=20_000)
def _stemmed(word: str) -> str:
    return str(_english().stemWord(word))


@lru_cache(maxsize=1)
def _english() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")
