import json
import subprocess
import sys

import pytest

from kb_service.tokens import query_vector, question_words, sparse_vector, terms


def test_words_of_every_length_and_single_characters() -> None:
    found = terms("中华人民共和国的年假")
    assert {"中华", "人民", "共和国", "中华人民共和国", "年", "假"} <= set(found)
    assert "的" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wi-Fi", ["wi-fi", "wi", "fi"]),
        ("ＡＢＣ－１２３", ["abc-123", "abc", "123"]),
        ("v1.2.3", ["v1.2.3", "v1", "2", "3"]),
        ("ORA_12154 naïve", ["ora_12154", "ora", "12154", "naïve"]),
        ("don’t", ["don’t", "don", "t"]),
        ("ﬁle", ["file"]),
        ("Привет, 한국어!", ["привет", "한국어"]),
        ("--- ... ’’ __ \u0000 😀 ， 。", []),
        ("", []),
    ],
)
def test_spaced_scripts(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_traditional_and_simplified_characters_are_the_same() -> None:
    assert terms("臺灣大學圖書館") == terms("台湾大学图书馆")


def test_ideographs_outside_the_basic_plane_count() -> None:
    assert "𠮷" in terms("𠮷野家")


@pytest.mark.parametrize(
    "nothing",
    [
        "你好",
        "您好，在吗？",
        "请问",
        "谢谢！",
        "为什么呢？",
        "怎么办啊",
        "你是谁",
        "可以告诉我吗",
        "Hello!",
        "hi, how are you?",
        "what is this",
        "？！。",
        "",
        " \n\u0000",
    ],
)
def test_greetings_and_question_words_ask_nothing(nothing: str) -> None:
    assert question_words(nothing) == []
    assert query_vector(question_words(nothing)).indices == []


def test_the_words_that_ask_something_stay() -> None:
    assert question_words("你好，请问怎么报销差旅费？") == ["报销", "差旅费"]
    assert question_words("What is the return policy of Wi-Fi routers?") == [
        "return",
        "policy",
        "wi",
        "fi",
        "routers",
    ]


def test_indices_are_distinct_unsigned_32_bit() -> None:
    words = {word: 1 for number in range(20_000) for word in (f"w{number}",)}
    vector = sparse_vector(words)
    assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)
    assert all(0 <= index < 2**32 for index in vector.indices)
    assert max(vector.indices) > 2**31


def test_indices_are_the_same_in_every_process() -> None:
    """Stored vectors outlive the process, whose own `hash` is salted."""
    program = "from kb_service.tokens import *; print(query_vector(['报销', 'vpn']).indices)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == query_vector(["报销", "vpn"]).indices


def test_a_repeated_term_weighs_more_but_less_each_time() -> None:
    once, twice, often = (
        sparse_vector({"a": count, "b": 10 - count}).values[0] for count in (1, 2, 9)
    )
    assert once < twice < often < 9 * once


def test_a_term_of_a_short_passage_weighs_more() -> None:
    short = sparse_vector({"a": 1})
    long = sparse_vector({"a": 1} | {f"w{n}": 1 for n in range(500)})
    assert short.values[0] > long.values[0]


def test_lone_surrogates_do_not_break_it() -> None:
    assert sparse_vector(dict.fromkeys(terms("报销�abc"), 1)).indices
