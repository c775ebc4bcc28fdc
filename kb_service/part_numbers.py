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


def codes(plain: str) -> list[str]:
    """Each without what joins its parts, repeats kept, of a folded text."""
    return [
        code
        for match in _JOINED.finditer(plain)
        if any(character.isdigit() for character in match[0])
        for code in _codes_in(_PART.findall(match[0]))
    ]


def _codes_in(parts: list[tuple[str, str]]) -> Iterator[str]:
    """Whichever neighbours belong together: what is asked for may be a part of what is written."""
    for start, (_, code) in enumerate(parts):
        if _is_code(code):
            yield code
        before = code
        for joint, part in parts[start + 1 : start + _MOST_PARTS]:
            if joint == " " and not _go_together(code, before, part):
                break
            # A point between digits is a part of the number.
            is_point = joint == "." and code[-1].isdigit() and part[0].isdigit()
            code, before = code + ("." if is_point else "") + part, part
            if _is_code(code):
                yield code
                if code[0] == "v" and _is_code(code[1:]):
                    yield code[1:]


def _go_together(code: str, before: str, part: str) -> bool:
    """Whether what a space separates is one number: a name and digits, or groups of digits."""
    if code.isalpha():
        return part[0].isdigit() and len(code) <= _LONGEST_NAME and code not in STOP_WORDS
    return bool(_GROUP.fullmatch(before) and _GROUP.fullmatch(part))


def _is_code(code: str) -> bool:
    digits = sum(map(str.isdigit, code))
    if len(code) < _SHORTEST or not digits:
        return False
    return digits < len(code) - code.count(".") or code.count(".") > 1 or digits >= _DIGITS
