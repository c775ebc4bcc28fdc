"""Part numbers, versions and telephone numbers, however their parts are joined.

AB-1203, AB1203 and ab 1203 are the same; so are 400-820-8820 and 400 820 8820.
"""

import re
from collections.abc import Iterator

from kb_service.stopwords import STOP_WORDS

CODE = "#"  # begins the term of a part number

_SHORTEST = 4
_LONGEST_NAME = 8  # letters that a space may separate from their number: iPhone 15
_DIGITS = 7  # from here on digits alone are a number to look for, such as a telephone's
_MOST_PARTS = 5
_JOINED = re.compile(r"(?<![a-z0-9])[a-z0-9]+(?:[-_./ ][a-z0-9]+)*", re.ASCII)
_PART = re.compile(r"([-_./ ]?)([a-z0-9]+)", re.ASCII)
_GROUP = re.compile(r"\d{3,4}", re.ASCII)
_PIECE = re.compile(r"[a-z]+|[\d.]+", re.ASCII)

Span = tuple[int, int, str]  # start, end, code


def codes(plain: str) -> list[str]:
    """Each without what joins its parts, repeats kept, of a folded text.

    A part of a longer number is one as well, since it may be all that is asked for.
    """
    return [code for *_, code in _spans(plain)]


def longest_codes(plain: str) -> list[Span]:
    """Where they are, those that are a part of another left out."""
    kept: list[Span] = []
    for start, end, code in sorted(_spans(plain), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, _without_v(code)))
    return kept


def pieces(code: str) -> list[str]:
    """The letters and the digits that it consists of."""
    return _PIECE.findall(code)


def pattern(code: str) -> re.Pattern[str]:
    """Finds a code in a folded text, however it is joined there."""
    written = "[-_./ ]?".join(re.escape(character) for character in code)
    return re.compile(f"(?<![a-z0-9]){written}(?![a-z0-9])")


def _spans(plain: str) -> Iterator[Span]:
    for match in _JOINED.finditer(plain):
        if any(character.isdigit() for character in match[0]):
            yield from _spans_in(list(_PART.finditer(plain, match.start(), match.end())))


def _spans_in(parts: list[re.Match[str]]) -> Iterator[Span]:
    """Of neighbouring parts, whichever belong together."""
    for at, first in enumerate(parts):
        start, code = first.start(2), first[2]
        if _is_code(code):
            yield start, first.end(), code
        before = code
        for part in parts[at + 1 : at + _MOST_PARTS]:
            if part[1] == " " and not _go_together(code, before, part[2]):
                break
            # A point between digits is a part of the number.
            is_point = part[1] == "." and code[-1].isdigit() and part[2][0].isdigit()
            code, before = code + ("." if is_point else "") + part[2], part[2]
            if _is_code(code):
                yield start, part.end(), code
                if code != _without_v(code):
                    yield start, part.end(), _without_v(code)


def _go_together(code: str, before: str, part: str) -> bool:
    """Whether what a space separates is one number: a name and digits, or groups of digits."""
    if code.isalpha():
        return part[0].isdigit() and len(code) <= _LONGEST_NAME and code not in STOP_WORDS
    return bool(_GROUP.fullmatch(before) and _GROUP.fullmatch(part))


def _without_v(code: str) -> str:
    return code[1:] if code[0] == "v" and _is_code(code[1:]) else code


def _is_code(code: str) -> bool:
    digits = sum(map(str.isdigit, code))
    if len(code) < _SHORTEST or not digits:
        return False
    return digits < len(code) - code.count(".") or code.count(".") > 1 or digits >= _DIGITS
