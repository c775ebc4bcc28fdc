"""At headings: a chunk never reaches over one, and knows the path of those above it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import split_sections
from kb_service.splitters.pieces import split_text

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_BETWEEN = " > "


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(_by_heading(sections), options, text=_under_its_heading)


def _by_heading(sections: Iterable[Section]) -> Iterator[Section]:
    """Headings are found by the loader where the format has them; here those left in the text."""
    for section in sections:
        if section.kind == "text" and "#" in section.text:
            yield from _cut_at_headings(section)
        else:
            yield section


def _cut_at_headings(section: Section) -> Iterator[Section]:
    path: dict[int, str] = {}
    lines: list[str] = []
    has_text, fence = False, ""
    for line in section.text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        heading = None if fence or mark else _HEADING.match(line)
        if heading and has_text:
            yield replace(section, text="\n".join(lines), metadata=_metadata(section, path))
            lines, has_text = [], False
        if heading:
            level = len(heading[1])
            path = {known: title for known, title in path.items() if known < level}
            path[level] = " ".join(heading[2].rstrip().rstrip("#").split())
            line = path[level]
        has_text = has_text or (not heading and bool(line.strip()))
        lines.append(line)
    yield replace(section, text="\n".join(lines), metadata=_metadata(section, path))


def _metadata(section: Section, path: dict[int, str]) -> dict[str, Any]:
    titles = [section.metadata.get("title", ""), *(title for _, title in sorted(path.items()))]
    title = _BETWEEN.join(title for title in titles if title)
    return section.metadata | ({"title": title} if title else {})


def _under_its_heading(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    path = section.metadata.get("title", "") if options.heading_prefix else ""
    title = _shortened(path, options.size // 2)
    if not title:
        for text in _blocks(section.text, options.size, options.overlap):
            yield CustomDoc(text, section.metadata)
        return
    size = options.size - len(title) - 1
    body = _without_headings(section.text, title, path)
    if not body:
        yield CustomDoc(title, section.metadata)
    for text in _blocks(body, size, min(options.overlap, size // 2)):
        yield CustomDoc(f"{title}\n{text}", section.metadata)


def _shortened(title: str, most: int) -> str:
    """The inner headings as far as they leave room for text."""
    while len(title) > most:
        title = title.partition(_BETWEEN)[2]
    return title


def _without_headings(text: str, said: str, path: str) -> str:
    """A section begins with its headings: without those that its prefix says already."""
    headings = {*path.split(_BETWEEN), ""}
    lines = text.split("\n")
    count = next(
        (at for at, line in enumerate(lines) if " ".join(line.split()) not in headings), len(lines)
    )
    gone = {*said.split(_BETWEEN), ""}
    kept = [line for line in lines[:count] if " ".join(line.split()) not in gone]
    return "\n".join([*kept, *lines[count:]])


def _blocks(text: str, size: int, overlap: int) -> Iterator[str]:
    """As the recursive splitter cuts, but code in fences stays whole as far as it fits."""
    parts = [(False, text)] if len(text) <= size else _parts_by_fence(text)
    for is_code, part in parts:
        if is_code and len(part) <= size:
            yield part
        else:
            yield from split_text(part, size, overlap)


def _parts_by_fence(text: str) -> Iterator[tuple[bool, str]]:
    """Whether it is code, with its fences, and the lines."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            yield False, "\n".join(lines)
            lines, fence = [line], mark[1]
        elif mark and mark[1] == fence:
            yield True, "\n".join([*lines, line])
            lines, fence = [], ""
        else:
            lines.append(line)
    yield bool(fence), "\n".join(lines)
