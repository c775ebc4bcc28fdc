import math
from collections.abc import Callable

import pytest

from kb_service.scoring import LexicalDistance, dense_distance, idf
from kb_service.tokens import question_words


def distance(question: str, passage: str, idf_of: Callable[[str], float] = lambda _: 1.0) -> float:
    return LexicalDistance(question_words(question), idf_of).of(passage)


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
    def idf_of(term: str) -> float:
        return 5.0 if term in "滤芯" else 0.5

    question = "滤芯更换"
    assert distance(question, "滤芯", idf_of) < distance(question, "更换", idf_of)


def test_scattered_characters_are_weak_evidence() -> None:
    assert distance("报销", "他报了名，货已经销了") > distance("报销", "报销须知")


def test_a_dictionary_word_inside_a_longer_one_counts_whole() -> None:
    assert distance("商务座", "商务人士专用") < distance("商务座", "商家的服务")


def test_spaced_words_match_whole_words_in_any_case_and_width() -> None:
    assert distance("VPN setup", "Ｖｐｎ SETUP guide") == 0
    assert distance("art", "starting a party") == 2
    assert distance("wi-fi", "连接 WI-FI 网络") == 0


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
