"""What fits into a model's context."""

from chat_service.fitting import fitting, prompt_budget
from chat_service.history import estimate_tokens
from chat_service.llm import Sampling
from chat_service.model_entities import Operation
from chat_service.vendors import Vendor


def test_the_best_passages_stay_and_the_last_is_cut() -> None:
    kept = fitting(["一" * 200, "二" * 200, "三" * 200], 400)
    assert kept[0] == "一" * 200
    assert len(kept) == 2
    assert kept[1].startswith("二")
    assert kept[1].endswith("…")
    assert sum(map(estimate_tokens, kept)) <= 400


def test_a_huge_passage_is_cut() -> None:
    (kept,) = fitting(["word " * 100_000], 1_000)
    assert 900 < estimate_tokens(kept) <= 1_000


def test_the_answer_has_its_place_in_the_context() -> None:
    vendor = Vendor("v", "http://v", "m", operation=Operation(context_tokens=8_000))
    assert prompt_budget(vendor, Sampling(max_tokens=3_000), 6_000) == 5_000
    assert prompt_budget(vendor, Sampling(max_tokens=7_900), 6_000) == 4_000
    assert prompt_budget(Vendor("v", "http://v", "m"), Sampling(), 6_000) == 6_000
