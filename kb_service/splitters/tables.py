"""Markdown tables: by rows, each chunk with the header."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.pieces import split_text

_BAR = re.compile(r"(?<!\\)\|")


def split_table(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    """Rows as far as they fit, each chunk with the title and the header of the table.

    A row that is too long for that becomes `column: value` lines.
    """
    title = section.metadata.get("title", "")
    for part in rows_that_fit(section, options.size):
        if part.kind == "table":
            text = f"{title}\n\n{part.text}" if title else part.text
            yield CustomDoc(text, part.metadata)
        else:
            for text in split_text(part.text, options.size, options.overlap):
                yield CustomDoc(text, part.metadata)


def rows_that_fit(section: Section, size: int) -> Iterator[Section]:
    """Tables of at most `size` characters with the title, and as text the rows longer than that."""
    header, rule, *rows = section.text.split("\n")
    title = section.metadata.get("title", "")
    head = len(f"{title}\n\n{header}\n{rule}" if title else f"{header}\n{rule}")
    held: list[str] = []
    first, length = 0, head
    for number, row in enumerate([*rows, None]):
        if held and (row is None or length + 1 + len(row) > size):
            yield replace(
                section, text="\n".join([header, rule, *held]), metadata=at_row(section, first)
            )
            held, length = [], head
        if row is not None and length + 1 + len(row) > size:
            lines = filter(None, (title, row_text(header, row)))
            yield Section("\n".join(lines), at_row(section, number))
        elif row is not None:
            first = first if held else number
            held.append(row)
            length += 1 + len(row)


def at_row(section: Section, offset: int) -> dict[str, Any]:
    """A section that says at which row it begins has chunks that say so too."""
    row = section.metadata.get("row")
    return section.metadata if row is None else section.metadata | {"row": row + offset}


def row_text(header: str, row: str) -> str:
    """`column: value` lines of the cells that have a value."""
    pairs = zip_longest(cells(header), cells(row), fillvalue="")
    return "\n".join(f"{name}: {value}" if name else value for name, value in pairs if value)


def cells(line: str) -> list[str]:
    parts = _BAR.split(line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in parts]
