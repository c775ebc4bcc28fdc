"""Words are found wherever the pieces are split, and nothing that was shown is taken back."""

import pytest

from chat_service.word_entities import WordList
from chat_service.words import Matcher, WordFilter

LISTS = [
    WordList("masked", "mask", words=("他妈", "他妈的", "ass", "臺灣啤酒", "株式")),
    WordList(
        "replaced", "replace", replacement="某公司", words=("ＡＣＭＥ集团", "乙丙丁", "会社法")
    ),
    WordList("blocked", "block", words=("机密代号", "top secret")),
]
CASES = {
    "真他妈的好": ("真***好", False),
    "他妈 他 妈": ("** 他 妈", False),
    "a class, an ASS! ass": ("a class, an ***! ***", False),
    "acme集团和ACME集團": ("某公司和某公司", False),
    "台湾啤酒、臺灣啤酒": ("****、****", False),
    "乙丙甲乙丙丁": ("乙丙甲某公司", False),
    "他\u200b妈的": ("****", False),
    "在㍿和": ("在*和", False),
    "先说机密代号再说": ("先说", True),
    "It is TOP SECRET.": ("It is ", True),
    "desktop secret": ("desktop secret", False),
    "他": ("他", False),
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_in_pieces_as_in_one(text: str, expected: tuple[str, bool]) -> None:
    matcher = Matcher(LISTS)
    for length in (1, 2, 3, len(text)):
        words = WordFilter(matcher)
        pieces = [words.feed(text[at : at + length]) for at in range(0, len(text), length)]
        assert ("".join(pieces) + words.close(), words.is_blocked) == expected, length


def test_only_what_may_become_a_word_waits() -> None:
    words = WordFilter(Matcher(LISTS))
    assert [words.feed(piece) for piece in ("你好", "，乙", "丙", "甲", "ok")] == [
        "你好",
        "，",
        "",
        "乙丙甲",
        "ok",
    ]
