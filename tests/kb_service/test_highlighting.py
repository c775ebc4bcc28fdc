import pytest

from kb_service.highlighting import highlights
from kb_service.wording import Lexicon


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("年假有几天？", "员工的年假为五天，年假另计", ["年假", "年假"]),
        ("差旅费报销", "差旅费、住宿费的报销", ["差旅费", "报销"]),
        ("报销凭证", "报销凭证见表", ["报销凭证"]),
        ("商务座", "商务人士", ["商务"]),
        ("VPN setup", "Ｖｐｎ: SETUP, setups", ["Ｖｐｎ", "SETUP", "setups"]),
        ("图书馆", "臺灣大學圖書館", ["圖書館"]),
        ("限重 kg", "每件２０ ㎏，限重", ["㎏", "限重"]),
        ("Wi-Fi", "连接 wi-fi", ["wi", "fi"]),
        ("AB1203", "Nr. AB-1203, ab 1203; AB-12034", ["AB-1203", "ab 1203"]),
        ("滤芯", "病假", []),
        ("你好", "你好", []),
        ("年假", "", []),
    ],
)
def test_the_words_of_a_question_in_a_passage(
    question: str, text: str, expected: list[str]
) -> None:
    found = highlights(Lexicon().wording(question).words, text)
    assert [text[start:end] for start, end in found] == expected
