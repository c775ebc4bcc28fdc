"""What counts as found, the figures made of it, and what a comparison may say."""

from dataclasses import replace
from itertools import product

import pytest

from kb_service.evaluation.comparing import compared, in_words, sign_test
from kb_service.evaluation.figures import figures_of
from kb_service.evaluation.judging import judged, matches
from kb_service.evaluation_entities import Expectation, Item, Outline, Run, RunOptions
from kb_service.models import now
from kb_service.search import Passage

RULE = "年休假按累计工作年限计算：满一年不满十年的，每年五天；满十年不满二十年的，每年十天。"
OTHER = "访客无线网络的密码每周一更换，可以在前台查询，也可以向行政部索取，请不要外传。"
LONG = RULE + "满二十年的，每年十五天。新员工当年的天数按剩余日历天数折算，不足一整天的部分不享受。"


def passage(text: str, file_name: str = "a.md", **more: float) -> Passage:
    return Passage("1", file_name, text, 0.5, {}, ("1",), 0.5, None, **({"relevance": None} | more))


@pytest.mark.parametrize(
    ("expected", "chunk", "is_right"),
    [
        (RULE, f"第三章 休假\n{RULE}其他规定从略。", True),
        (RULE, RULE.replace("，", ", ").replace("：", " "), True),  # marks and spaces
        ("Refunds take 30 days", "REFUNDS\n take ３０ days!", True),  # case and width
        (LONG, RULE, True),  # a piece of what was cut
        (LONG, f"{RULE[:40]}{OTHER}", False),  # half of it is something else
        (RULE, OTHER, False),
        (LONG, "每年五天", False),  # too little to say where it is from
        ("每年五天", RULE, True),  # but one may expect as little as that
        ("……", "……", False),
    ],
)
def test_what_counts_as_found(expected: str, chunk: str, is_right: bool) -> None:
    assert matches(expected, chunk) is is_right


def test_each_expected_passage_counts_once_where_it_is_found_first() -> None:
    item = Item(1, "k", "q", Expectation(passages=(RULE, OTHER)), "")
    found = [passage("别的"), passage(RULE), passage(RULE), passage(OTHER)]
    result = judged(item, found, position=0, latency_ms=1)
    assert (result.outline.verdict, result.outline.rank) == ("hit", 2)
    # 1/log2(3) + 1/log2(5) of the best there is, 1 + 1/log2(3)
    assert result.outline.ndcg == pytest.approx((0.63093 + 0.43068) / 1.63093, abs=1e-4)
    assert [one.is_right for one in result.found] == [False, True, True, True]
    assert [bool(one.excerpt) for one in result.found] == [True, True, True, False]


@pytest.mark.parametrize(
    ("wanted", "file_name", "is_right"),
    [
        ("a.md", "a.md", True),
        ("a.md", "docs/a.md", True),
        ("docs/a.md", "a.md", False),
        ("other/a.md", "docs/a.md", False),
        ("a.md", "ba.md", False),
        ("u\u0308ber.md", "docs/u\u0308ber.md", True),  # as macOS writes ü
        ("\u00fcber.md", "u\u0308ber.md", True),
    ],
)
def test_files_may_be_named_without_their_folders(
    wanted: str, file_name: str, is_right: bool
) -> None:
    item = Item(1, "k", "q", Expectation(files=(wanted,)), "")
    result = judged(item, [passage("x", file_name)], position=0, latency_ms=1)
    assert (result.outline.verdict == "hit") is is_right


def outline(number: int, rank: int | None, verdict: str = "") -> Outline:
    kind = verdict or ("hit" if rank else "missed")
    return Outline(number, str(number), "", kind, rank, 0, number, 1, False, False)  # type: ignore[arg-type]  # a verdict


def test_figures() -> None:
    ranks = [1, 2, 4, 8, None]
    results = [outline(number, rank) for number, rank in enumerate(ranks, 1)]
    results += [outline(6, None, "refused"), outline(7, None, "answered")]
    figures = figures_of(results, top_k=10)
    assert (figures.hit_at_1, figures.hit_at_3, figures.hit_at_5) == (0.2, 0.4, 0.6)
    assert (figures.hit_at_k, figures.mrr) == (0.8, round((1 + 1 / 2 + 1 / 4 + 1 / 8) / 5, 4))
    assert (figures.refusals, figures.refusal_rate, figures.wrongly_answered) == (2, 0.5, 1)
    assert (figures.latency_p50_ms, figures.latency_p95_ms) == (4, 7)
    assert figures_of([], top_k=10).hit_at_1 is None


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (3, 1), (5, 5), (2, 9)])
def test_the_sign_test_is_exact(better: int, worse: int) -> None:
    outcomes = [sum(coins) for coins in product((0, 1), repeat=better + worse)]
    uneven = abs(better - worse)
    extreme = [heads for heads in outcomes if abs(2 * heads - better - worse) >= uneven]
    assert sign_test(better, worse) == pytest.approx(len(extreme) / len(outcomes))


def test_the_sign_test_takes_the_largest_sets() -> None:
    assert sign_test(5_000, 4_000) < 1e-20
    assert sign_test(5_000, 5_000) == 1


@pytest.mark.parametrize(
    ("better", "worse", "said"),
    [
        (0, 0, "Retrieval makes no difference"),
        (4, 4, "no help and no harm"),
        (5, 0, "Pure chance would bring such a difference in 6.2% of cases"),
        (6, 0, "The change helped: chance alone would bring such a difference in only 3.1%"),
        (1, 20, "The change hurt: chance alone would bring such a difference in only <0.1%"),
    ],
)
def test_a_comparison_says_no_more_than_it_knows(better: int, worse: int, said: str) -> None:
    run = Run(
        *(1, 1, 1, "", "done", "", RunOptions(), None, None, 0, 0, 0, now(), None, None),
    )
    ranks = [(2, 1)] * better + [(1, None)] * worse + [(3, 3)]
    earlier = [outline(number, before) for number, (before, _) in enumerate(ranks)]
    later = [outline(number, after) for number, (_, after) in enumerate(ranks)]
    comparison = compared(run, earlier, replace(run, id=2), later)
    assert comparison.counts == {"better": better, "worse": worse, "same": 1, "incomparable": 0}
    assert said in in_words(comparison)[1]
