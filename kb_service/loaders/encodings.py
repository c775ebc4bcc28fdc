"""Bytes to text: which encoding it is, is decided by what makes sense as text."""

import codecs
from collections import Counter
from functools import cache
from pathlib import Path

from kb_service.loaders import LoadFault

_SAMPLE = 1 << 16
_SURE = 0.5  # the share of usual characters, among those beyond ASCII, that Chinese text exceeds
_GUESSABLE = 0.15  # the share of bytes beyond ASCII; fewer are accents in a Western text
_WORDS = 32  # bytes that are too few to guess by
_BAD_MAX = 0.02  # the share of broken characters that a text may have
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins like the one of UTF-16, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
# The most frequent characters, simplified and traditional: what text is full of and chance is not.
_FREQUENT = frozenset(
    "的一是不了在有人我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业"
    "這來個國說們為時會著過學對裡後麼當還發見經頭長樣現將與實點種聲話從動兩開無請員關於規電書業間問題"
    "公司员职请制度规管理项目电话网书业间题联系服务产品"
    "，。、：；！？（）「」《》“”\u3000"
)
_NO_TEXT = "内容不是文本，与扩展名不符。The content is not text."


def read_text(path: Path, declared: str | None = None) -> str:
    """The whole file, with Unix line ends. Raises LoadFault when it is no text or has none."""
    text = decode(path.read_bytes(), declared).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise LoadFault("文件中没有文字。The file has no text.")
    return text


def decode(raw: bytes, declared: str | None = None) -> str:
    """By its mark, as UTF-8, as it declares, then as what reads most like text."""
    if mark := next((name for sign, name in _MARKS.items() if raw.startswith(sign)), None):
        return _checked(raw.decode(mark, errors="replace"))
    has_zeros = b"\0" in raw[:_SAMPLE]
    named = [] if has_zeros else ["utf-8", *([_known(declared)] if declared else [])]
    if len(raw) <= _WORDS and _seems_chinese(raw):
        named[:1] = []
    for encoding in named:
        try:
            return _checked(raw.decode(encoding))
        except (ValueError, LookupError):  # of bytes, or of a name that is no encoding of text
            continue
    return _checked(raw.decode(_likeliest(raw, has_zeros=has_zeros), errors="replace"))


def _seems_chinese(raw: bytes) -> bool:
    """A few words of GBK that happen to be valid UTF-8, all of it rare letters there."""
    try:
        letters = raw.decode()
    except UnicodeDecodeError:
        return False
    is_rare = all("\x80" <= letter < "\u0800" for letter in letters if not letter.isspace())
    return is_rare and _score(raw, "gb18030") > 1


def _known(declared: str) -> str:
    """What programs mean by a name: they say GB2312 and use all of GB18030."""
    name = declared.lower()
    return {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}.get(name, name)


def _checked(text: str) -> str:
    sample = text[:_SAMPLE]
    odd = sum(count for c, count in Counter(sample).items() if _is_control(c) or c == "\ufffd")
    if odd > max(1, _BAD_MAX * len(sample)):
        raise LoadFault(_NO_TEXT)
    return text


def _is_control(character: str) -> bool:
    return character < " " and character not in "\t\n\r\f\v\x1b\x1a"


def _likeliest(raw: bytes, *, has_zeros: bool) -> str:
    candidates = _WIDE if has_zeros else ("utf-8", "gb18030", "big5hkscs", *_WIDE[2:])
    scores = {encoding: _score(raw, encoding) for encoding in candidates}
    best = max(scores, key=lambda encoding: scores[encoding])
    if scores[best] >= _SURE:
        return best
    if has_zeros:
        raise LoadFault(_NO_TEXT)
    sample = raw[:_SAMPLE]
    if sum(byte >= 0x80 for byte in sample) < max(_GUESSABLE * len(sample), _WORDS):
        return "cp1252"
    from charset_normalizer import from_bytes

    guess = from_bytes(sample).best()
    return guess.encoding if guess else best


def _score(raw: bytes, encoding: str) -> float:
    """Near 1 for text of usual characters; frequent ones decide where two could both be right."""
    if encoding in _WIDE and len(raw) % (4 if "32" in encoding else 2):
        return 0
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = decoder.decode(raw[:_SAMPLE])
    letters = Counter(text)
    usual, beyond, frequent, bad = 0, 0, 0, 0
    for character, count in letters.items():
        if character == "\ufffd" or _is_control(character) or character == "\0":
            bad += count
        elif character >= "\x7f":
            beyond += count
            usual += count if character in _usual_characters() else 0
            frequent += count if character in _FREQUENT else 0
    if not beyond:
        return 1 if not bad and encoding in _WIDE else 0
    if encoding in _WIDE and not frequent:  # any two bytes are a character there
        return 0
    return (usual + 0.5 * frequent - 20 * bad) / beyond


@cache
def _usual_characters() -> frozenset[str]:
    """The levels of GB2312 and Big5 that hold what people write, and the punctuation."""
    usual: set[str] = set()
    for encoding, leads in (("gb2312", range(0xB0, 0xD8)), ("big5", range(0xA4, 0xC7))):
        for lead in (*range(0xA1, 0xA4), *leads):
            for trail in range(0x40, 0xFF):
                usual.update(bytes([lead, trail]).decode(encoding, "ignore"))
    return frozenset(character for character in usual if character > "\x7f")
