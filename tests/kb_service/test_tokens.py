import json
import subprocess
import sys

import pytest

from kb_service.tokens import counted, index_of, sparse_vector, terms


def test_single_characters_and_neighbours_whatever_a_dictionary_says() -> None:
    found = terms("三码合一机的年假")
    assert {"三码", "码合", "合一", "一机", "机的", "三", "码", "年", "假"} <= set(found)
    assert "的" not in found


def test_words_in_all_their_forms() -> None:
    assert "~train" in set(terms("Trains")) & set(terms("training")) & set(terms("a train"))
    assert "~v2" in terms("v2")


@pytest.mark.parametrize("same", ["AB-1203", "ab 1203", "型号AB1203"])
def test_part_numbers_beside_their_words(same: str) -> None:
    assert "#ab1203" in terms(same)


def test_what_is_counted_are_characters_and_words() -> None:
    assert set(counted(terms("年假见AB-1203"))) == {"年", "假", "见", "ab-1203", "ab", "1203"}


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
    assert counted(terms(text)) == expected


def test_traditional_and_simplified_characters_are_the_same() -> None:
    assert terms("臺灣大學圖書館") == terms("台湾大学图书馆")


def test_ideographs_outside_the_basic_plane_count() -> None:
    assert "𠮷" in terms("𠮷野家")


def test_indices_are_distinct_unsigned_32_bit() -> None:
    words = {word: 1 for number in range(20_000) for word in (f"w{number}",)}
    vector = sparse_vector(words)
    assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)
    assert all(0 <= index < 2**32 for index in vector.indices)
    assert max(vector.indices) > 2**31


def test_indices_are_the_same_in_every_process() -> None:
    """Stored vectors outlive the process, whose own `hash` is salted."""
    program = "from kb_service.tokens import index_of; print([index_of('报销'), index_of('vpn')])"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == [index_of("报销"), index_of("vpn")]


def test_a_repeated_term_weighs_more_but_less_each_time() -> None:
    once, twice, often = (
        sparse_vector({"a": count, "b": 10 - count}).values[0] for count in (1, 2, 9)
    )
    assert once < twice < often < 9 * once


def test_a_term_of_a_short_passage_weighs_more() -> None:
    short = sparse_vector({"a": 1})
    long = sparse_vector({"a": 1} | {f"w{n}": 1 for n in range(500)})
    assert short.values[0] > long.values[0]


def test_a_part_number_is_there_or_it_is_not() -> None:
    once, often = (sparse_vector({"#ab1203": n, "ab1203": n}).values[0] for n in (1, 5))
    assert once == often == 1


def test_lone_surrogates_do_not_break_it() -> None:
    assert sparse_vector(dict.fromkeys(terms("报销�abc"), 1)).indices
