"""The forms in which texts are compared: one width, one case, and simplified characters."""

import unicodedata
from functools import cache

_IDEOGRAPHS = range(0x3400, 0xA000)


def normalised(text: str) -> str:
    """One width, one case, traditional characters kept."""
    return unicodedata.normalize("NFKC", text).lower()


def folded(text: str) -> str:
    """The same with each traditional character as its simplified one."""
    return normalised(text).translate(_simplified())


def folded_with_places(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters where it comes from."""
    parts: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        part = folded(character)
        parts.append(part)
        places += [place] * len(part)
    return "".join(parts), places


@cache
def _simplified() -> dict[int, str]:
    """Character by character, so that a text keeps its length whatever words are in it."""
    from opencc import OpenCC  # its dictionaries are let go of again

    characters = [chr(code) for code in _IDEOGRAPHS]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {
        ord(one): other for one, other in zip(characters, converted, strict=True) if one != other
    }
