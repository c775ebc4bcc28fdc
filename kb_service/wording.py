"""What a question asks for by its words, and the terms that the engine scores passages by."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rjieba

from kb_service.dictionary import Dictionary, entries
from kb_service.folding import folded
from kb_service.part_numbers import CODE, codes, longest_codes
from kb_service.stopwords import STOP_WORDS, without_courtesies
from kb_service.tokens import (
    characters,
    index_of,
    is_ideographic,
    pairs,
    parts,
    runs,
    stem,
    with_parts,
)
from kb_service.vectors import SparseVector

# Chosen by `make eval`, see docs/retrieval.md; characters weigh 1.
_PAIR = 0.5
_SPACED = 1.0
_STEM = 1.5
_CODE = 10.0  # more than all the rest of a usual question
_NAME = 2.0  # times: what the dictionary keeps whole
_PHRASE = 3.0  # times: what stands between quotation marks
_SYNONYM = 0.5  # times: what the question might have said

_VARIANTS = 8
_LONGEST = 1_000  # characters; the rest of a pasted page would only cost time
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|「([^」]+)」|『([^』]+)』')


@dataclass(frozen=True, slots=True)
class Wording:
    """A question as it is searched for: one without words asks nothing.

    Variants are its words with synonyms in the place of some; phrases must be there literally
    where any passage has them. Names are those words that are nothing in parts.
    """

    words: tuple[str, ...]
    vector: SparseVector
    variants: tuple[tuple[str, ...], ...] = ()
    phrases: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def all_words(self) -> list[str]:
        """With those of its variants."""
        return list(dict.fromkeys(word for words in (self.words, *self.variants) for word in words))


class Lexicon:
    """The names and synonyms of an installation; what is stored does not depend on them."""

    def __init__(self, names: Iterable[str] = (), synonyms: Iterable[Sequence[str]] = ()) -> None:
        self._synonyms: defaultdict[str, set[str]] = defaultdict(set)
        for group in synonyms:
            members = {folded(member).strip() for member in group} - {""}
            for member in members:
                self._synonyms[member] |= members - {member}
        self._names = Dictionary([*names, *self._synonyms])

    @classmethod
    def load(cls, names: Path | None, synonyms: Path | None) -> "Lexicon":
        """From files: a name a line, a group of synonyms a line with commas between."""
        groups = [re.split("[,，]", line) for line in entries(synonyms)]
        return cls(entries(names), groups)

    def __repr__(self) -> str:
        """Another text when its names or synonyms are others."""
        groups = sorted((one, sorted(others)) for one, others in self._synonyms.items())
        return f"Lexicon({self._names}, {groups})"

    def wording(self, text: str) -> Wording:
        plain = without_courtesies(folded(text[:_LONGEST]))
        words = self._words(plain)
        phrases = _phrases(plain)
        others = self._variants(plain) if words else []
        weights = self._weights(plain, words)
        for phrase in phrases:
            for term, weight in self._weights(phrase, self._words(phrase)).items():
                weights[term] = max(weights.get(term, 0.0), weight * _PHRASE)
        for other in others:
            for term, weight in self._weights(other, self._words(other)).items():
                weights.setdefault(term, weight * _SYNONYM)
        indices = {index_of(term): weight for term, weight in weights.items()} if words else {}
        return Wording(
            tuple(words),
            SparseVector(list(indices), list(indices.values())),
            tuple(tuple(self._words(other)) for other in others),
            tuple(phrases),
            frozenset(self._names_in([plain, *others])),
        )

    def _words(self, plain: str) -> list[str]:
        """The distinct words that say what is asked; none for a greeting."""
        kept: dict[str, None] = {}
        for part, name in self._names.split(plain):
            if name:
                kept[part] = None
            else:
                kept.update(dict.fromkeys(_words_between(part)))
        return [word for word in kept if not is_ideographic(word) or characters(word)]

    def _names_in(self, texts: Iterable[str]) -> Iterator[str]:
        return (part for text in texts for part, name in self._names.split(text) if name)

    def _weights(self, plain: str, words: Sequence[str]) -> dict[str, float]:
        weights = {CODE + code: _CODE for code in codes(plain)}
        for run, ideographic in runs(plain):
            if ideographic:
                weights.update(dict.fromkeys(pairs(run), _PAIR))
                continue
            for word in with_parts(_without_possessive(run)):
                if word not in STOP_WORDS:
                    weights |= {word: _SPACED, stem(word): _STEM}
        for word in filter(is_ideographic, words):
            weights.update((one, 1.0) for one in characters(word) if is_ideographic(one))
        for name in self._names_in([plain]):
            weights.update(dict.fromkeys(pairs(name), _PAIR * _NAME))
        return weights

    def _variants(self, plain: str) -> list[str]:
        """The question with one synonym at a time in its place."""
        split = self._names.split(plain)
        found: list[str] = []
        for at, (part, name) in enumerate(split):
            for other in sorted(self._synonyms.get(part, ())) if name else ():
                before, after = split[:at], split[at + 1 :]
                found.append("".join([*(p for p, _ in before), other, *(p for p, _ in after)]))
        return found[:_VARIANTS]


def literal(text: str, phrases: Sequence[str]) -> bool:
    """Whether all phrases are in a text as they are."""
    plain = " ".join(folded(text).split())
    return all(phrase in plain for phrase in phrases)


def _words_between(plain: str) -> Iterator[str]:
    """Of what has no names in it."""
    done = 0
    for start, end, code in longest_codes(plain):
        yield from _plain_words(plain[done:start])
        yield CODE + code
        done = end
    yield from _plain_words(plain[done:])


def _plain_words(plain: str) -> Iterator[str]:
    for run, ideographic in runs(plain):
        if ideographic:
            words = _joined_up(rjieba.cut(run, hmm=False))
        else:
            words = iter(parts(_without_possessive(run)))
        yield from (word for word in words if word not in STOP_WORDS)


def _without_possessive(run: str) -> str:
    """Passages hold the parts too, so that "Thompson's" is found where Thompson is asked for."""
    return run.removesuffix("'s").removesuffix("’s")


def _joined_up(words: Iterable[str]) -> Iterator[str]:
    """Single characters in a row as one word: the dictionary does not know it, such as 年假."""
    single = ""
    for word in words:
        if len(word) == 1 and word not in STOP_WORDS:
            single += word
            continue
        if single:
            yield single
        single = ""
        yield word
    if single:
        yield single


def _phrases(plain: str) -> list[str]:
    """What stands between quotation marks and is more than one character."""
    quoted = ("".join(match.groups("")) for match in _QUOTED.finditer(plain))
    return [phrase for one in quoted if len(phrase := " ".join(one.split())) > 1]
