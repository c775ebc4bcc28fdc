import pytest

from kb_service.folding import folded
from kb_service.part_numbers import codes


@pytest.mark.parametrize(
    ("same", "code"),
    [
        (["AB-1203", "AB1203", "ab 1203", "ＡＢ－１２０３", "ab_1203", "型号AB/1203。"], "ab1203"),
        (["400-820-8820", "400 820 8820", "4008208820", "电话400-820-8820转"], "4008208820"),
        (["v2.3.1", "2.3.1版", "V 2.3.1"], "2.3.1"),
        (["iPhone 15", "iphone15", "iPhone-15"], "iphone15"),
        (["AB-1203", "AB-1203-X", "AB 1203/X"], "ab1203"),
        (["WI-FI 6E"], "wifi6e"),
        (["3.14159265"], "3.14159265"),
    ],
)
def test_a_number_is_the_same_however_it_is_joined(same: list[str], code: str) -> None:
    assert [code in codes(folded(text)) for text in same] == [True] * len(same)


@pytest.mark.parametrize(
    "text",
    ["2018", "12.5", "3-4", "in 2018", "the 1203", "ab cd", "A4", "", "年5月", "AB-", "12 1203"],
)
def test_years_amounts_and_words_are_none(text: str) -> None:
    assert codes(folded(text)) == []


def test_another_number_is_not_the_same() -> None:
    assert set(codes("ab-1203")).isdisjoint(codes("ab-1204 ab-12034 xab-1203"))
