"""Finds words of lists in text, also when it comes in pieces: nothing that was shown is taken back.

Texts are compared folded: one width, one case, traditional characters as simplified ones, without
invisible characters. Latin words are found as words, not inside others.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import ahocorasick

from chat_service.word_entities import BLOCK, MASK, WordList

_IDEOGRAPHS = range(0x3400, 0xA000)
_MASK = "*"


class Matcher:
    """The words of all lists; a word in two of them is of the stricter one."""

    def __init__(self, lists: Iterable[WordList]) -> None:
        self.lists: Sequence[WordList] = sorted(lists, key=_mildness, reverse=True)
        self._words = ahocorasick.Automaton()
        self.longest = 0
        for number, one in enumerate(self.lists):  # the strictest comes last and wins
            for word in one.words:
                if shape := folded(word)[0]:
                    self._words.add_word(shape, (number, len(shape)))
                    self.longest = max(self.longest, len(shape))
        self._words.make_automaton()

    def __bool__(self) -> bool:
        return self.longest > 0

    def find(self, text: str, before: str, *, ended: bool) -> list[tuple[int, int, int]]:
        """Start, end and list of what is found in a folded text, the longest at each place.

        `before` is the character before it.
        """
        found = []
        for last, (number, length) in self._words.iter(text):
            start, end = last + 1 - length, last + 1
            previous = text[start - 1] if start else before
            following = text[end] if end < len(text) else ""
            if _joined(previous, text[start]) or _joined(text[last], following):
                continue
            if end < len(text) or ended or not _is_latin(text[last]):
                found.append((start, end, number))
        return _apart(found)

    def undecided(self, text: str) -> int:
        """Where the first thing begins that more text may make a word."""
        for start in range(max(0, len(text) - self.longest), len(text)):
            if self._words.match(text[start:]):
                return start
        return len(text)


class WordFilter:
    """Takes a text piece by piece and gives it back without the words."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._held = self._before = ""
        self.lists = matcher.lists
        self.found: Counter[int] = Counter()
        self.is_blocked = False

    def feed(self, text: str) -> str:
        return self._release(self._held + text, ended=False)

    def close(self) -> str:
        return self._release(self._held, ended=True)

    def _release(self, text: str, *, ended: bool) -> str:
        """What may be shown; after a word that blocks nothing is."""
        if self.is_blocked or not text:
            return ""
        shape, places = folded(text)
        until = len(shape) if ended else self._matcher.undecided(shape)
        shown: list[str] = []
        at = 0
        for start, end, number in self._matcher.find(shape, self._before, ended=ended):
            if start >= until:
                break
            shown.append(text[at : places[start]])
            self.found[number] += 1
            if self._matcher.lists[number].action == BLOCK:
                self.is_blocked, self._held = True, ""
                return "".join(shown)
            after = places[end - 1] + 1
            shown.append(self._instead(number, text[places[start] : after]))
            at, until = after, max(until, end)
        # A character like ㍿ is several when folded: what is shown of it is not looked at again.
        cut = max(at, places[until]) if until < len(shape) else len(text)
        shown.append(text[at:cut])
        self._held = text[cut:]
        self._before = shape[until - 1] if until else self._before
        return "".join(shown)

    def _instead(self, number: int, word: str) -> str:
        found_by = self._matcher.lists[number]
        return _MASK * len(word) if found_by.action == MASK else found_by.replacement


def folded(text: str) -> tuple[str, Sequence[int]]:
    """The text as it is compared, and for each of its characters where it comes from."""
    parts = [_folded(character) for character in text]
    shape = "".join(parts)
    if len(shape) == len(text) and "" not in parts:
        return shape, range(len(text))
    return shape, [place for place, part in enumerate(parts) for _ in part]


@cache
def _folded(character: str) -> str:
    if character.isascii():
        return character.lower()
    if unicodedata.category(character) == "Cf":
        return ""
    return unicodedata.normalize("NFKC", character).lower().translate(_simplified())


@cache
def _simplified() -> dict[int, str]:
    from opencc import OpenCC  # when a list is first used; its dictionaries are let go of again

    characters = [chr(code) for code in _IDEOGRAPHS]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {
        ord(one): other for one, other in zip(characters, converted, strict=True) if one != other
    }


def _mildness(one: WordList) -> int:
    return ("block", "replace", "mask").index(one.action)


def _apart(found: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The leftmost, of these the longest, without what overlaps them."""
    kept: list[tuple[int, int, int]] = []
    for start, end, number in sorted(found, key=lambda one: (one[0], -one[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, number))
    return kept


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _joined(one: str, other: str) -> bool:
    return bool(one and other) and _is_latin(one) and _is_latin(other)
