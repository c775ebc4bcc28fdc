from pathlib import Path

import pytest

from kb_service.tokens import index_of, sparse_vector, terms
from kb_service.wording import Lexicon, Wording, literal

GREETINGS = (Path(__file__).parent / "greetings.txt").read_text("utf-8").splitlines()


def words(question: str, *names: str) -> list[str]:
    return list(Lexicon(names).wording(question).words)


def weights(wording: Wording) -> dict[int, float]:
    return dict(zip(wording.vector.indices, wording.vector.values, strict=True))


@pytest.mark.parametrize(
    "nothing", [*GREETINGS, "为什么呢？", "可以告诉我吗", "hi, how are you?", "", " \n\u0000"]
)
def test_greetings_and_question_words_ask_nothing(nothing: str) -> None:
    wording = Lexicon(["你好"], [["谢谢", "多谢"]]).wording(nothing)
    assert wording.words == ()
    assert wording.vector.indices == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("你好，请问怎么报销差旅费？", ["报销", "差旅费"]),
        ("好的，谢谢。滤芯呢", ["滤芯"]),
        ("你們的滤芯", ["滤芯"]),
        ("What is the return policy of routers?", ["return", "policy", "routers"]),
        ("AB-1203 的滤芯", ["#ab1203", "滤芯"]),
        ("ab 1203滤芯", ["#ab1203", "滤芯"]),
        ("升级到v2.3.1", ["升级", "#2.3.1"]),
        ("wi-fi", ["wi", "fi"]),
        ("Who is Thompson's lawyer?", ["thompson", "lawyer"]),
    ],
)
def test_the_words_that_ask_something_stay(question: str, expected: list[str]) -> None:
    assert words(question) == expected


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("三码合一机型号", "三码合一机"),
        ("x1碳纤维单车", "X1碳纤维"),
        ("多少钱的是多少", "多少钱的"),
        ("the Wi-Fi 6E router", "wi-fi 6e"),
        ("臺灣通服務", "台湾通"),
    ],
)
def test_a_name_of_the_dictionary_stays_whole(question: str, name: str) -> None:
    assert name.lower() in words(question, name, name[:2])
    assert name.lower() not in words(question)


def test_a_name_is_none_in_the_middle_of_a_word() -> None:
    assert words("cataract", "cat") == ["cataract"]
    assert words("cat 粮", "cat") == ["cat", "粮"]


def test_what_is_asked_for_is_what_passages_have() -> None:
    wording = Lexicon(["三码合一机"]).wording("AB-1203，三码合一机 trains")
    stored = sparse_vector(dict.fromkeys(terms("三码合一机 AB-1203型 trains"), 1))
    assert set(wording.vector.indices) <= set(stored.indices)


@pytest.mark.parametrize("apostrophe", ["'", "’"])
def test_a_possessive_asks_for_its_owner(apostrophe: str) -> None:
    assert weights(Lexicon().wording(f"Thompson{apostrophe}s lawyer")) == weights(
        Lexicon().wording("Thompson lawyer")
    )


def test_names_and_part_numbers_weigh_more() -> None:
    plain, named = (weights(Lexicon(n).wording("三码 AB-1203")) for n in ([], ["三码"]))
    assert named[index_of("三码")] > plain[index_of("三码")]
    assert plain[index_of("#ab1203")] > 3 * plain[index_of("ab-1203")]


def test_a_synonym_counts_as_what_was_said() -> None:
    lexicon = Lexicon([], [["差旅费", "出差费用", "旅差费"], ["x", ""]])
    wording = lexicon.wording("差旅费报销")
    assert wording.variants == (("出差费用", "报销"), ("旅差费", "报销"))
    assert weights(wording)[index_of("出差")] < weights(wording)[index_of("差旅")]
    assert set(wording.all_words) == {"差旅费", "出差费用", "旅差费", "报销"}
    assert Lexicon().wording("差旅费报销").variants == ()


@pytest.mark.parametrize(
    "question",
    ['"五天 年假"是', "“五天\n年假”", "「五天　年假」", "『五天 年假』"],
)
def test_what_is_quoted_must_be_there_as_it_is(question: str) -> None:
    (phrase,) = Lexicon().wording(question).phrases
    assert literal("有五天  年假。", [phrase])
    assert literal("有五天\n年假。", [phrase])
    assert not literal("年假有五天。", [phrase])


def test_files_have_a_name_or_a_group_a_line(tmp_path: Path) -> None:
    names, synonyms = tmp_path / "names.txt", tmp_path / "synonyms.txt"
    names.write_text("\ufeff# 产品\n三码合一机\n\n", "utf-8")
    synonyms.write_text("差旅费，出差费用, 旅差费\n", "utf-8")
    lexicon = Lexicon.load(names, synonyms)
    assert lexicon.wording("三码合一机").words == ("三码合一机",)
    assert len(lexicon.wording("旅差费").variants) == 2


def test_a_pasted_page_is_searched_by_its_beginning() -> None:
    page = "".join(chr(0x4E00 + n) for n in range(20_000))
    assert len(Lexicon().wording(page).vector.indices) < 2_500
