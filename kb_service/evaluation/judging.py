"""Whether what was found is what should be found."""

import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from kb_service.evaluation_entities import Expectation, Found, Item, Outline, Result, Verdict
from kb_service.search import Passage

_MOSTLY = 0.8  # of the shorter text's parts are in the longer one
_GRAM = 3
_SHORTEST = 20  # characters of a chunk that says something by itself
_EXCERPT = 200
_WITH_EXCERPT = 3
_BEGINNING = 10
_DEEPEST = 10  # of nDCG


def judged(item: Item, passages: Sequence[Passage], *, position: int, latency_ms: float) -> Result:
    """The result for an item whose question found these passages, the best first."""
    right = [_target(item.expected, passage) for passage in passages]
    rank = next((number for number, target in enumerate(right, 1) if target is not None), None)
    outline = Outline(
        position=position,
        match_key=item.match_key,
        expected_key=_key(item.expected),
        verdict=_verdict(item.expected, rank, found_any=bool(passages)),
        rank=rank,
        ndcg=_ndcg(right, len(item.expected.targets)),
        latency_ms=round(latency_ms, 3),
        found=len(passages),
        by_meaning=any(passage.by_meaning is not None for passage in passages),
        reranked=any(passage.relevance is not None for passage in passages),
    )
    found = (
        Found(
            chunk_id=passage.chunk_id,
            file_name=passage.file_name,
            score=round(passage.score, 4),
            excerpt=_part(passage.content, item.expected, right[place])
            if place < _WITH_EXCERPT or place + 1 == rank
            else "",
            is_right=right[place] is not None,
        )
        for place, passage in enumerate(passages)
    )
    return Result(outline, _excerpt(item.question), _shown(item.expected), tuple(found))


def matches(expected: str, chunk: str) -> bool:
    """Whether a chunk holds the expected passage, or most of one of them is in the other.

    Width, case, spaces and punctuation do not count. A passage that was cut is in several chunks,
    and each of them is right.
    """
    wanted, given = _plain(expected), _plain(chunk)
    if not wanted or not given:
        return False
    if wanted in given:
        return True
    shorter, longer = sorted((wanted, given), key=len)
    if len(shorter) < _SHORTEST:
        return False
    grams, others = _grams(shorter), _grams(longer)
    return len(grams & others) >= _MOSTLY * len(grams)


def names_of(file_name: str) -> set[str]:
    """Also without the folders that it is in: who writes tables often leaves them out."""
    whole = plain_name(file_name)
    return {whole, whole.rpartition("/")[2]}


def plain_name(file_name: str) -> str:
    """Some systems write ü as u and two dots."""
    return unicodedata.normalize("NFC", file_name)


def _target(expected: Expectation, passage: Passage) -> int | None:
    """Which of the expected ones a passage is."""
    if expected.passages:
        is_right = [matches(wanted, passage.content) for wanted in expected.passages]
    else:
        is_right = [plain_name(name) in names_of(passage.file_name) for name in expected.files]
    return is_right.index(True) if True in is_right else None


def _verdict(expected: Expectation, rank: int | None, *, found_any: bool) -> Verdict:
    if expected.refuses:
        return "answered" if found_any else "refused"
    if not expected.targets:
        return "unjudged"
    return "missed" if rank is None else "hit"


def _ndcg(right: Sequence[int | None], targets: int) -> float:
    """Each expected one counts once, where it is found first."""
    seen = set[int]()
    gain = 0.0
    for place, target in enumerate(right[:_DEEPEST]):
        if target is not None and target not in seen:
            seen.add(target)
            gain += 1 / math.log2(place + 2)
    best = sum(1 / math.log2(place + 2) for place in range(min(targets, _DEEPEST)))
    return round(gain / best, 6) if best else 0.0


@lru_cache(1_024)  # the chunks of a knowledge base are found again and again
def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


@lru_cache(1_024)
def _grams(text: str) -> frozenset[str]:
    return frozenset(text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1))


def _part(text: str, expected: Expectation, target: int | None) -> str:
    """From where the expected passage begins, if that can be told."""
    plain, begin = " ".join(text.split()), 0
    if target is not None and expected.passages:
        wanted = " ".join(expected.passages[target].split())
        begin = max(plain.find(wanted[:_BEGINNING]), 0)
    return ("…" if begin else "") + _excerpt(plain[begin:])


def _excerpt(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 1] + "…"


def _shown(expected: Expectation) -> Expectation:
    return replace(
        expected,
        passages=tuple(_excerpt(passage) for passage in expected.passages),
        answer=_excerpt(expected.answer),
    )


def _key(expected: Expectation) -> str:
    """Of what decides whether a passage is right; an answer does not."""
    deciding = repr((expected.refuses, sorted(expected.targets), bool(expected.passages)))
    return hashlib.sha256(deciding.encode()).hexdigest()[:32]
