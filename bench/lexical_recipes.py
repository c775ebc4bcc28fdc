"""Other ways to make search terms of text, scored by plain BM25, to compare the product with."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import rjieba

from kb_service.folding import folded
from kb_service.tokens import characters, pairs, runs, with_parts
from kb_service.wording import Lexicon

_WORDS = Lexicon()
Ranked = Callable[[str, int], list[int]]


@dataclass(frozen=True)
class Recipe:
    """Without a usual length it is the mean of the set, as libraries have it."""

    passage: Callable[[str], list[str]]
    question: Callable[[str], Mapping[str, float]]
    k1: float = 1.2
    b: float = 0.75
    usual_length: float | None = None

    def ranking(self, passages: Sequence[str]) -> Ranked:
        documents = [Counter(self.passage(text)) for text in passages]
        usual = self.usual_length or sum(d.total() for d in documents) / len(documents)
        postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, document in enumerate(documents):
            norm = self.k1 * (1 - self.b + self.b * document.total() / usual)
            for term, count in document.items():
                postings[term].append((number, count * (self.k1 + 1) / (count + norm)))

        def ranked(question: str, most: int) -> list[int]:
            scores: defaultdict[int, float] = defaultdict(float)
            for term, weight in self.question(question).items():
                found = postings.get(term, [])
                told = weight * math.log1p((len(passages) - len(found) + 0.5) / (len(found) + 0.5))
                for number, value in found:
                    scores[number] += told * value
            return sorted(scores, key=lambda number: -scores[number])[:most]

        return ranked


def _pairs(text: str) -> list[str]:
    found: list[str] = []
    for run, ideographic in runs(folded(text)):
        found += (pairs(run) or [run]) if ideographic else [run]
    return found


def _characters(text: str) -> list[str]:
    found: list[str] = []
    for run, ideographic in runs(folded(text)):
        found += characters(run) if ideographic else [run]
    return found


def _words(text: str) -> list[str]:
    found: list[str] = []
    for run, ideographic in runs(folded(text)):
        found += _compounds(run) if ideographic else with_parts(run)
    return found


def _compounds(run: str) -> list[str]:
    return [word for word in rjieba.cut_for_search(run) if len(word) > 1]


def _words_and_characters(text: str) -> list[str]:
    found = _words(text)
    for run, ideographic in runs(folded(text)):
        found += characters(run) if ideographic else []
    return found


def _first_question(text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for run, ideographic in runs(" ".join(_WORDS.wording(text).words)):
        if ideographic:
            weights.update(dict.fromkeys(_compounds(run), 0.5))
            weights.update(dict.fromkeys(characters(run), 1.0))
        else:
            weights[run] = 1.0
    return weights


def _each(terms: Callable[[str], list[str]]) -> Callable[[str], Mapping[str, float]]:
    return lambda text: dict.fromkeys(terms(text), 1.0)


RECIPES = {
    "pair-bm25": Recipe(_pairs, _each(_pairs)),
    "characters": Recipe(_characters, _each(_characters)),
    "words": Recipe(_words, _each(_words)),
    # What this product had before pairs: words and characters with constants of their own.
    "first": Recipe(_words_and_characters, _first_question, k1=0.8, b=0.4, usual_length=300),
}
