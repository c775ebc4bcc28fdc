"""Which questions are offered how often: draws of a seeded chance, counted."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from kb_service.entities import Candidate
from kb_service.question_keys import question_key
from kb_service.questions.picking import pick, weights

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=30), NOW - timedelta(days=1)
DRAWS = 20_000


def candidates(*taps: int, made: datetime = OLD) -> list[Candidate]:
    return [Candidate(number, count, made) for number, count in enumerate(taps, 1)]


def shares(offered: list[Candidate], number: int = 1, *, seed: int = 7) -> dict[int, float]:
    """How often each is among those that are drawn."""
    chance = Random(seed)
    counts: Counter[int] = Counter()
    for _ in range(DRAWS):
        counts.update(one.id for one in pick(offered, number, chance, NOW))
    return {one.id: counts[one.id] / DRAWS for one in offered}


def test_the_first_of_a_draw_is_as_likely_as_it_weighs() -> None:
    offered = candidates(0, 1, 10, 1_000)
    expected = weights(offered, NOW)
    found = shares(offered)
    for one, weight in zip(offered, expected, strict=True):
        # Five standard deviations of a share of 20,000 draws are at most 0.018.
        assert found[one.id] == pytest.approx(weight / sum(expected), abs=0.018)
    assert found[1] < found[2] < found[3] < found[4]


def test_equal_ones_are_drawn_equally_often() -> None:
    found = shares(candidates(*[5] * 10), number=3)
    assert all(share == pytest.approx(0.3, abs=0.018) for share in found.values())


def test_taps_do_not_shut_out_the_others() -> None:
    """A question with a million taps is offered more often, not always."""
    found = shares(candidates(1_000_000, 0, 0, 0, 0))
    assert 0.5 < found[1] < 0.85
    assert all(found[number] > 0.03 for number in (2, 3, 4, 5))


def test_a_new_one_has_the_chance_of_the_average() -> None:
    known = candidates(100, 200, 300, 400)
    old, new = Candidate(9, 0, OLD), Candidate(9, 0, NEW)
    assert shares([*known, old])[9] < 0.06
    assert shares([*known, new])[9] == pytest.approx(
        weights([*known, new], NOW)[-1] / sum(weights([*known, new], NOW)), abs=0.018
    )
    assert shares([*known, new])[9] > 0.14


def test_a_draw_has_none_twice_and_no_more_than_there_are() -> None:
    offered = candidates(*range(10))
    chance = Random(1)
    drawn = pick(offered, 10, chance, NOW)
    assert sorted(one.id for one in drawn) == list(range(1, 11))
    assert len(pick(offered, 99, chance, NOW)) == 10
    assert pick(offered, 0, chance, NOW) == pick(offered, -1, chance, NOW) == []
    assert pick([], 5, chance, NOW) == []


def test_the_order_is_of_chance_too() -> None:
    chance = Random(3)
    orders = {tuple(one.id for one in pick(candidates(0, 0, 0), 3, chance, NOW)) for _ in range(99)}
    assert len(orders) == 6


@pytest.mark.parametrize(
    "same",
    [
        ("怎么请假？", "怎么请假?", " 怎么 请假 ", "怎么请假", "「怎么请假」！", "怎么，请假……"),
        ("How do I apply?", "how do i APPLY", "Ｈow do I apply？", "HowdoIapply"),
        ("VPN 怎么用", "ｖｐｎ怎么用？"),
        ("？", "?"),
    ],
)
def test_width_case_spaces_and_punctuation_do_not_count(same: tuple[str, ...]) -> None:
    assert len({question_key(text) for text in same}) == 1


def test_what_is_asked_does() -> None:
    different = (
        "怎么请假",
        "怎么请病假",
        "怎麼請假",
        "C++ 是什么",
        "C 是什么",
        "C+ 是什么",
        "？",
        "！",
        "",
    )
    assert len({question_key(text) for text in different}) == len(different)
    assert question_key("长" * 401) is None
    assert question_key("\ud800") is not None
