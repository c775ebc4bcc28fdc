"""Which chunk of a new version an edit belongs to."""

from collections import defaultdict
from dataclasses import replace

import pytest

from kb_service.chunk_entities import ChunkEdit
from kb_service.matching import key_of, places

EDIT = ChunkEdit(1, "a.txt", anchor="年假每年十天。", position=2, content="新", metadata={}, id=1)


def placed(texts: list[str], *edits: ChunkEdit) -> dict[int, int]:
    positions = defaultdict[bytes, list[int]](list)
    for position, text in enumerate(texts):
        positions[key_of(text)].append(position)
    return places(edits or [EDIT], positions, dict(enumerate(texts)))


def test_the_same_text_is_found_wherever_it_is() -> None:
    assert placed(["别的文字"] * 40 + ["年假每年十天。"]) == {1: 40}


def test_white_space_and_width_are_no_difference() -> None:
    assert placed(["别的文字", "年假 每年\n十天｡"]) == {1: 1}


def test_of_several_the_nearest_is_taken() -> None:
    assert placed(["年假每年十天。", "甲", "乙", "年假每年十天。"]) == {1: 3}


def test_two_edits_of_equal_texts_take_one_each() -> None:
    other = replace(EDIT, id=2, position=3)
    assert placed(["年假每年十天。", "甲", "年假每年十天。"], EDIT, other) == {1: 2, 2: 0}


def test_a_changed_text_is_found_where_it_was() -> None:
    assert placed(["甲乙丙丁", "戊己庚辛", "年假每年九天。"]) == {1: 2}


@pytest.mark.parametrize(
    "texts",
    [
        ["甲乙丙丁", "戊己庚辛", "差旅费凭发票报销。"],
        ["别的文字"] * 30 + ["年假每年九天。"],
        [""],
        [],
    ],
)
def test_what_is_another_text_or_too_far_away_is_lost(texts: list[str]) -> None:
    assert placed(texts) == {}


def test_a_changed_text_does_not_take_the_place_of_the_same_one() -> None:
    other = replace(EDIT, id=2, anchor="年假每年九天。", position=2)
    assert placed(["甲", "乙", "年假每年九天。"], EDIT, other) == {2: 2}


def test_added_ones_follow_their_text_and_take_no_place() -> None:
    added = replace(EDIT, id=2, is_added=True)
    assert placed(["甲", "年假每年十天。"], EDIT, added) == {1: 1, 2: 1}


def test_a_lost_one_comes_back_for_the_same_text_alone() -> None:
    lost = replace(EDIT, is_lost=True)
    assert placed(["甲", "乙", "年假每年九天。"], lost) == {}
    assert placed(["甲", "乙", "年假每年十天。"], lost) == {1: 2}
