"""The names that an installation keeps whole, and the files that it lists them in."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from kb_service.folding import folded

_LETTER = re.compile(r"[a-z0-9]", re.ASCII)


class Dictionary:
    def __init__(self, names: Iterable[str]) -> None:
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        for name in {folded(name).strip() for name in names} - {""}:
            self._names[name[0]].append(name)
        for alike in self._names.values():
            alike.sort(key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Dictionary({sorted(name for alike in self._names.values() for name in alike)})"

    def split(self, plain: str) -> list[tuple[str, bool]]:
        """The text in parts, and whether a part is a name: the longest at each place."""
        found: list[tuple[str, bool]] = []
        start = at = 0
        while at < len(plain):
            if name := self._name_at(plain, at):
                found += [(plain[start:at], False), (name, True)]
                start = at = at + len(name)
            else:
                at += 1
        return [*found, (plain[start:], False)]

    def _name_at(self, plain: str, at: int) -> str | None:
        for name in self._names.get(plain[at], ()):
            if plain.startswith(name, at) and _stands_alone(plain, at, at + len(name)):
                return name
        return None


def entries(file: Path | None) -> list[str]:
    """Of a file with one a line; those that begin with # are remarks."""
    if file is None:
        return []
    lines = (line.strip() for line in file.read_text("utf-8-sig").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _stands_alone(plain: str, start: int, end: int) -> bool:
    """Not in the middle of a word of a spaced script."""
    before, after = plain[max(start - 1, 0) : start], plain[end : end + 1]
    cuts_before = before and _LETTER.match(before) and _LETTER.match(plain[start])
    cuts_after = after and _LETTER.match(after) and _LETTER.match(plain[end - 1])
    return not cuts_before and not cuts_after
