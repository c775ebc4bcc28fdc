"""Markdown: headings of both kinds, and tables."""

import re
from collections.abc import Iterator
from pathlib import Path

from kb_service.loaders import Reading, Section
from kb_service.loaders.encodings import read_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return sections_by_title(_blocks(read_text(path).split("\n")))


def _blocks(lines: list[str]) -> Iterator[tuple[int, str]]:
    fence, at = "", 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        at += 1
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        if fence or mark:
            yield TEXT, line
        elif heading := _HEADING.match(line):
            yield len(heading[1]), heading[2].rstrip().rstrip("#").rstrip()
        elif "|" in line and "|" in following and _RULE.match(following):
            end = at + 1
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield TABLE, "\n".join(row.strip() for row in lines[at - 1 : end])
            at = end
        elif _is_text(line) and (under := _UNDERLINE.match(following)):
            yield (1 if under[1][0] == "=" else 2), line.strip()
            at += 1
        else:
            yield TEXT, line


def _is_text(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("    ", "\t", ">", "-", "*", "+", "|", "="))
