"""Two runs side by side, question by question: did the change help?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kb_service.evaluation.figures import figures_of
from kb_service.evaluation_entities import Figures, Outline, Run

# Only questions that both runs judged by the same expectation can get better or worse.
Outcome = Literal["worse", "better", "same", "incomparable"]
OUTCOMES: tuple[Outcome, ...] = ("worse", "better", "same", "incomparable")
Direction = Literal["better", "worse", "unclear", "same"]
_CHANCE = 0.05
_NOWHERE = 10_000  # the rank of what was not found
_RIGHT = {"refused": 1, "answered": 2}


@dataclass(frozen=True, slots=True)
class Pair:
    """A question in both runs; None where a run did not have it."""

    outcome: Outcome
    before: Outline | None
    after: Outline | None

    @property
    def sides(self) -> Sequence[Outline]:
        return [one for one in (self.before, self.after) if one]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`figures` are of the comparable questions only; `chance` is how often pure chance would
    bring so uneven a result, were there no difference: an exact two-sided sign test.
    """

    pairs: Sequence[Pair]
    counts: Mapping[Outcome, int]
    before: Figures
    after: Figures
    chance: float
    direction: Direction


def compared(
    before: Run, earlier: Sequence[Outline], after: Run, later: Sequence[Outline]
) -> Comparison:
    """The questions that got worse come first, then those that got better; big changes first."""
    pairs = sorted(_pairs(earlier, later), key=_order)
    counts = Counter(pair.outcome for pair in pairs)
    chance = sign_test(counts["better"], counts["worse"])
    comparable = [pair for pair in pairs if pair.outcome != "incomparable"]
    return Comparison(
        pairs=pairs,
        counts={outcome: counts[outcome] for outcome in OUTCOMES},
        before=_figures((pair.before for pair in comparable), before),
        after=_figures((pair.after for pair in comparable), after),
        chance=chance,
        direction=_direction(counts["better"], counts["worse"], chance),
    )


def sign_test(better: int, worse: int) -> float:
    """How likely a result at least as uneven is when better and worse are equally likely."""
    number = better + worse
    term = tail = 1
    for k in range(min(better, worse)):
        term = term * (number - k) // (k + 1)
        tail += term
    return min(1.0, tail / 2 ** (number - 1)) if number else 1.0


def _direction(better: int, worse: int, chance: float) -> Direction:
    if not better and not worse:
        return "same"
    if chance >= _CHANCE:
        return "unclear"
    return "better" if better > worse else "worse"


def _pairs(earlier: Iterable[Outline], later: Iterable[Outline]) -> Iterable[Pair]:
    left = {one.match_key: one for one in later}
    for before in earlier:
        after = left.pop(before.match_key, None)
        yield Pair(_outcome(before, after), before, after)
    for after in left.values():
        yield Pair("incomparable", None, after)


def _outcome(before: Outline, after: Outline | None) -> Outcome:
    if after is None or before.expected_key != after.expected_key or before.verdict == "unjudged":
        return "incomparable"
    change = _place(after) - _place(before)
    if not change:
        return "same"
    return "better" if change < 0 else "worse"


def _place(result: Outline) -> int:
    return _RIGHT.get(result.verdict) or result.rank or _NOWHERE


def _order(pair: Pair) -> tuple[int, int, int]:
    change = 0
    if pair.before and pair.after:
        change = abs(_place(pair.after) - _place(pair.before))
    return OUTCOMES.index(pair.outcome), -change, pair.sides[0].position


def _figures(results: Iterable[Outline | None], run: Run) -> Figures:
    return figures_of([one for one in results if one], top_k=run.options.top_k)


def in_words(comparison: Comparison) -> tuple[str, str]:
    """Whether it helped, in Chinese and in English, for people who know no statistics."""
    better, worse = comparison.counts["better"], comparison.counts["worse"]
    same, percent = comparison.counts["same"], _percent(comparison.chance)
    counted = f"{better} 题变好，{worse} 题变差，{same} 题不变。"
    count = f"{better} better, {worse} worse, {same} the same. "
    if comparison.direction == "same":
        return counted + "检索结果没有差别。", count + "Retrieval makes no difference."
    if better == worse:
        return counted + "总体上看不出改动有效或有害。", count + "On the whole no help and no harm."
    if comparison.direction == "unclear":
        return (
            f"{counted}仅凭偶然也有 {percent} 的可能出现这样的差别，还不能说明改动有效或有害。",
            f"{count}Pure chance would bring such a difference in {percent} of cases: "
            "this does not show that the change helped or hurt.",
        )
    helped = comparison.direction == "better"
    return (
        f"{counted}改动{'有效' if helped else '有害'}：偶然出现这样的差别的可能只有 {percent}。",
        f"{count}The change {'helped' if helped else 'hurt'}: "
        f"chance alone would bring such a difference in only {percent} of cases.",
    )


def _percent(chance: float) -> str:
    if chance < 0.001:
        return "<0.1%"
    return f"{chance:.1%}" if chance < 0.1 else f"{chance:.0%}"
