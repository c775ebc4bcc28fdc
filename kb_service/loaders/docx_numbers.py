"""The numbers that Word shows before headings and clauses without having them in the text."""

import re
from collections.abc import Callable
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_DIGITS = "零一二三四五六七八九"
_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_ROMAN = {1000: "M", 900: "CM", 500: "D", 400: "CD", 100: "C", 90: "XC", 50: "L", 40: "XL"}
_ROMAN |= {10: "X", 9: "IX", 5: "V", 4: "IV", 1: "I"}


class Numbers:
    """Counts the paragraphs of a document as they come."""

    def __init__(self, numbering: Any | None, styles: dict[str | None, Any]) -> None:
        self._styles = styles
        self._counts: dict[str, list[int | None]] = {}
        self._lists: dict[str, str] = {}
        self._levels: dict[tuple[str, int], Any] = {}
        self._by_style: dict[tuple[str, str], int] = {}
        if numbering is not None:
            self._read(numbering)

    def next(self, paragraph: Any) -> str:
        """What stands before this paragraph, with the space behind it."""
        found = self._place(paragraph)
        if found is None or (found[0], found[1]) not in self._levels:
            return ""
        name, level = found
        counts = self._counts.setdefault(name, [None] * _LEVELS)
        before = counts[level]
        counts[level] = self._start(name, level) if before is None else before + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        return self._text(name, level, counts)

    def _read(self, numbering: Any) -> None:
        for number in numbering.iterfind(f"{_W}num"):
            self._lists[_value(number, "numId", of=None)] = _value(number, "abstractNumId")
        for kind in numbering.iterfind(f"{_W}abstractNum"):
            name = _value(kind, "abstractNumId", of=None)
            for level in kind.iterfind(f"{_W}lvl"):
                at = _value(level, "ilvl", of=None)
                if at.isdecimal() and int(at) < _LEVELS:
                    self._levels[name, int(at)] = level
                    self._by_style[name, _value(level, "pStyle")] = int(at)

    def _place(self, paragraph: Any) -> tuple[str, int] | None:
        """The list and the level, by the paragraph or by its style and what that is based on."""
        own = paragraph.find(f"{_W}pPr/{_W}numPr")
        style = _value(paragraph, "pPr/pStyle")
        number, level = (_value(own, "numId"), _value(own, "ilvl")) if own is not None else ("", "")
        for _ in range(_LEVELS):
            above = self._styles.get(style)
            if number or above is None:
                break
            numbered = above.find(f"{_W}pPr/{_W}numPr")
            if numbered is not None:
                number = _value(numbered, "numId")
                level = level or _value(numbered, "ilvl")
                by_style = self._by_style.get((self._lists.get(number, ""), style))
                level = str(by_style) if by_style is not None else level
            style = _value(above, "basedOn")
        if number not in self._lists:  # 0 takes the number of the style away
            return None
        return self._lists[number], min(int(level), _LEVELS - 1) if level.isdecimal() else 0

    def _text(self, name: str, level: int, counts: list[int | None]) -> str:
        shape = self._levels[name, level]
        if _value(shape, "numFmt") in {"bullet", "none"}:
            return ""
        is_legal = shape.find(f"{_W}isLgl") is not None

        def number(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            count = counts[at]
            kind = "decimal" if is_legal else _value(self._levels.get((name, at)), "numFmt")
            return _formatted(self._start(name, at) if count is None else count, kind)

        text = _PLACE.sub(number, _value(shape, "lvlText"))
        return f"{text} " if text and _value(shape, "suff") != "nothing" else text

    def _start(self, name: str, level: int) -> int:
        start = _value(self._levels.get((name, level)), "start")
        return int(start) if start.isdecimal() else 1


def _value(element: Any | None, path: str, of: str | None = "val") -> str:
    """The attribute `val` of what is at the path below, or an attribute of the element itself."""
    if element is None:
        return ""
    if of is None:
        return str(element.get(f"{_W}{path}") or "")
    found = element.find("/".join(f"{_W}{name}" for name in path.split("/")))
    return str(found.get(f"{_W}{of}") or "") if found is not None else ""


def _formatted(number: int, kind: str) -> str:
    if not 0 < number < 10_000:
        return str(number)
    return _FORMATS.get(kind, str)(number)


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN.items():
        text += letters * (number // value)
        number %= value
    return text


def _letter(number: int) -> str:
    return chr(ord("A") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _circled(number: int) -> str:
    return chr(0x245F + number) if number <= 20 else str(number)


def _chinese(number: int, digits: str = _DIGITS, units: str = "十百千") -> str:
    text, has_gap = "", False
    for power in (3, 2, 1, 0):
        digit = number // 10**power % 10
        if not digit:
            has_gap = bool(text)
            continue
        text += digits[0] if has_gap else ""
        text += digits[digit] + (units[power - 1] if power else "")
        has_gap = False
    return text.removeprefix(digits[1]) if 10 <= number < 20 and units[0] == "十" else text


_FORMATS: dict[str, Callable[[int], str]] = {
    "upperRoman": _roman,
    "lowerRoman": lambda number: _roman(number).lower(),
    "upperLetter": _letter,
    "lowerLetter": lambda number: _letter(number).lower(),
    "decimalZero": lambda number: f"{number:02}",
    **dict.fromkeys(("decimalEnclosedCircle", "decimalEnclosedCircleChinese"), _circled),
    "chineseLegalSimplified": lambda number: _chinese(number, _LEGAL, "拾佰仟"),
    **dict.fromkeys(
        (
            *("chineseCounting", "chineseCountingThousand", "japaneseCounting"),
            *("taiwaneseCounting", "taiwaneseCountingThousand"),
        ),
        _chinese,
    ),
}
