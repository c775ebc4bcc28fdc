"""Which encoding a text is in, with a mark and without, in paragraphs and in a few words."""

import pytest

from kb_service.loaders import LoadFault
from kb_service.loaders.encodings import decode

SIMPLIFIED = (
    "第三章　休假制度\n员工每年享有带薪年假，天数按级别确定：职员十天，经理十五天。请假须提前"
    "三个工作日在系统中提交申请，由直属主管审批；未休年假可顺延至次年三月底，逾期作废。\n"
)
TRADITIONAL = (
    "第三章　休假制度\n員工每年享有帶薪年假，天數按級別確定：職員十天，經理十五天。請假須提前"
    "三個工作日在系統中提交申請，由直屬主管審批；未休年假可順延至次年三月底，逾期作廢。\n"
)
MARKED = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
UNMARKED = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
WORDS = (
    "你好",
    "年假",
    "员工手册",
    "休假",
    "朱镕基",
    "合同",
    "常见问题",
    "一、总则",
    "职员",
    "联通",
)
SPANISH = "El año pasado, la señora comió aquí.\n"


@pytest.mark.parametrize("encoding", [*MARKED, *UNMARKED, "gbk", "gb18030"])
@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, SIMPLIFIED * 2_000, "年假十天\n"])
def test_unicode_and_the_mainland(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["big5", "cp950", "big5hkscs"])
@pytest.mark.parametrize("text", [TRADITIONAL, TRADITIONAL * 2_000, "請假須知", "員工手冊", "說明"])
def test_big5(encoding: str, text: str) -> None:
    plain = text.replace("　", " ")
    assert decode(plain.encode(encoding)) == plain


@pytest.mark.parametrize("text", WORDS)
def test_a_few_words_of_gbk(text: str) -> None:
    assert decode(text.encode("gbk")) == text


@pytest.mark.parametrize(
    "text",
    ["café", "über", "résumé naïve, café crème", "El año pasado, la señora comió aquí.\n" * 9],
)
def test_western_accents_are_not_taken_for_chinese(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("text", ["Привет", "на", "café", "é", "שלום", "Ελλάδα"])
def test_other_languages_in_utf_8_are_not_taken_for_chinese(text: str) -> None:
    assert decode(text.encode()) == text


def test_a_broken_byte_does_not_cost_the_whole_text() -> None:
    for encoding in ("utf-8", "gb18030", "big5"):
        text = TRADITIONAL.replace("　", " ") * 20
        raw = text.encode(encoding)
        found = decode(raw[:300] + b"\xff" + raw[300:])
        assert abs(len(found) - len(text)) < 5
        assert found.endswith(text[-200:])


def test_what_a_page_declares_is_believed_when_it_can_be() -> None:
    assert decode("職員".encode("big5"), "big5") == "職員"
    assert decode("朱镕基".encode("gbk"), "GB2312") == "朱镕基"
    assert decode("职员".encode(), "gb2312") == "职员"
    for no_encoding in ("no-such-encoding", "undefined", "idna", "a\0"):
        assert decode("职员".encode("gbk"), no_encoding) == "职员"


@pytest.mark.parametrize(
    "raw", [bytes(range(256)) * 50, b"\0" * 1_000, b"\x01\x02\x03" * 100, b"\xfe\xff\xd8\x00" * 50]
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(LoadFault, match="内容不是文本，与扩展名不符。The content is not text"):
        decode(raw)
