import math
from collections.abc import Callable

import pytest

from kb_service.scoring import LexicalDistance, dense_distance, idf
from kb_service.wording import Lexicon


def distance(
    question: str,
    passage: str,
    *,
    idf_of: Callable[[str], float] = lambda _: 2.0,
    chunks: int = 100,
    lexicon: Lexicon | None = None,
) -> float:
    wording = (lexicon or Lexicon()).wording(question)
    variants = (wording.words, *wording.variants)
    return LexicalDistance(variants, idf_of, chunks, wording.names).of(passage)


def test_everything_asked_found_is_0() -> None:
    assert distance("年假有几天？", "员工的年假为几天，见下表。") == 0


def test_nothing_found_is_2() -> None:
    assert distance("年假有几天？", "空气净化器的滤芯") == 2


def test_more_of_the_question_found_is_nearer() -> None:
    question = "差旅住宿报销标准"
    passages = ["差旅住宿的报销标准如下", "差旅住宿如下", "住宿如下", "如下"]
    distances = [distance(question, passage) for passage in passages]
    assert distances == sorted(distances)
    assert len(set(distances)) == len(distances)


def test_rare_words_count_more() -> None:
    assert distance("滤芯更换", "滤芯") < distance("滤芯更换", "更换")
    rare = {"vpn": 6.0, "setup": 0.5}
    assert distance("vpn setup", "vpn", idf_of=rare.__getitem__) < distance(
        "vpn setup", "setup", idf_of=rare.__getitem__
    )


def test_a_common_word_is_no_evidence_among_many_chunks() -> None:
    question, passage = "今天滤芯需要更换的频率标准", "更换"
    assert distance(question, passage, chunks=1) < 1 < distance(question, passage, chunks=100_000)


def test_half_of_what_is_asked_is_enough_among_any_number() -> None:
    assert distance("滤芯更换", "滤芯", chunks=10**9) < 1


def test_scattered_characters_are_weak_evidence() -> None:
    assert distance("报销", "他报了名，货已经销了") > distance("报销", "报销须知")


def test_a_dictionary_word_inside_a_longer_one_counts_whole() -> None:
    assert distance("商务座", "商务人士专用") < distance("商务座", "商家的服务")


def test_spaced_words_match_whole_words_in_any_case_and_width() -> None:
    assert distance("VPN setup", "Ｖｐｎ SETUP guide") == 0
    assert distance("art", "starting a party") == 2
    assert distance("wi-fi", "连接 WI-FI 网络") == 0


def test_another_form_of_a_word_counts_less() -> None:
    assert 0 < distance("trains", "a train") < 1


@pytest.mark.parametrize("passage", ["型号 AB1203", "ab 1203。", "AB-1203-X"])
def test_a_part_number_is_the_same_however_it_is_joined(passage: str) -> None:
    assert distance("AB-1203", passage) == 0
    assert distance("AB-1204", passage) > 1


def test_a_name_of_the_dictionary_is_there_or_it_is_not() -> None:
    lexicon = Lexicon(["x1碳纤维", "visual studio"])
    assert distance("X1碳纤维", "新款X1碳纤维单车", lexicon=lexicon) == 0
    assert distance("Visual Studio", "in visual studio.", lexicon=lexicon) == 0
    assert distance("Visual Studio", "a studio", lexicon=lexicon) > 1
    assert distance("蓝莓通", "蓝莓与草莓通关", lexicon=Lexicon(["蓝莓通"])) > 1
    assert distance("蓝莓通", "蓝莓与草莓通关") < 1


def test_the_nearest_variant_counts() -> None:
    lexicon = Lexicon([], [["差旅费", "出差费用"]])
    assert distance("差旅费报销", "出差费用的报销", lexicon=lexicon) == 0
    assert distance("差旅费报销", "出差费用的报销") > 0


def test_without_a_question_everything_is_far() -> None:
    assert distance("你好", "你好，欢迎使用") == 2


@pytest.mark.parametrize(
    ("similarity", "expected"), [(1, 0), (0.5, 1), (0, 2), (-1, 2), (1.0000001, 0)]
)
def test_dense_distance_is_that_of_unit_vectors_within_0_and_2(
    similarity: float, expected: float
) -> None:
    assert dense_distance(similarity) == expected


def test_idf_falls_with_frequency_and_is_never_negative() -> None:
    values = [idf(100, frequency) for frequency in (0, 1, 10, 50, 100)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    assert idf(100, 10) == pytest.approx(math.log(1 + 90.5 / 10.5))
