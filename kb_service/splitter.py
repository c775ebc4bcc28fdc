"""Sections to chunks: Chinese-aware recursive splitting, lengths counted in characters."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise, zip_longest
from typing import Any

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section

NAME = "ChineseRecursiveTextSplitter"
# In this order; each stays at the end of its piece. White space is the last resort before a cut.
_SEPARATORS = tuple(
    map(
        re.compile,
        (r"\n{2,}", r"\n", r"[。！？][”’」』）]*", r"[.!?]\s", r"；|;\s", r"，|,\s", r"\s"),
    )
)
_TITLE_MAX = 20
_BAR = re.compile(r"(?<!\\)\|")


def split_document(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    """The chunks of a document, with the metadata of their sections."""
    title = ""
    for section in sections:
        if section.kind != "text":
            yield from _whole_or_table(section, options)
            continue
        if not options.zh_title_enhance:
            for text in split_text(section.text, options):
                yield CustomDoc(text, section.metadata)
            continue
        for part in _parts_by_title(section.text):
            if is_title(part):
                title = part
                yield CustomDoc(part, section.metadata | {"category": "cn_Title"})
                continue
            for text in split_text(part, options):
                related = f"下文与({title})有关。{text}" if title else text
                yield CustomDoc(related, section.metadata)


def _whole_or_table(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    if section.kind == "record":
        yield CustomDoc(section.text, section.metadata)
    else:
        yield from _split_table(section, options)


def _split_table(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    """Rows as far as they fit, each chunk with the title and the header of the table.

    A row that is too long for that becomes `column: value` lines.
    """
    header, rule, *rows = section.text.split("\n")
    title = section.metadata.get("title", "")
    head = f"{title}\n\n{header}\n{rule}" if title else f"{header}\n{rule}"
    held: list[str] = []
    first, length = 0, len(head)
    for number, row in enumerate([*rows, None]):
        if held and (row is None or length + 1 + len(row) > options.size):
            yield CustomDoc("\n".join([head, *held]), _at_row(section, first))
            held, length = [], len(head)
        if row is not None and length + 1 + len(row) > options.size:
            for text in split_text(_named_cells(title, header, row), options):
                yield CustomDoc(text, _at_row(section, number))
        elif row is not None:
            first = first if held else number
            held.append(row)
            length += 1 + len(row)


def _at_row(section: Section, offset: int) -> dict[str, Any]:
    """A section that says at which row it begins has chunks that say so too."""
    row = section.metadata.get("row")
    return section.metadata if row is None else section.metadata | {"row": row + offset}


def _named_cells(title: str, header: str, row: str) -> str:
    pairs = zip_longest(_cells(header), _cells(row), fillvalue="")
    named = (f"{name}: {value}" if name else value for name, value in pairs if value)
    return "\n".join([title, *named] if title else named)


def _cells(line: str) -> list[str]:
    cells = _BAR.split(line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def split_text(text: str, options: ChunkOptions) -> list[str]:
    chunks = _split(text, options, 0)
    stripped = (re.sub(r"\n{2,}", "\n", chunk.strip()) for chunk in chunks)
    return [chunk for chunk in stripped if chunk]


def is_title(line: str) -> bool:
    """A short line without a full stop and with a number in its first five characters."""
    letters = [c for c in line if not c.isspace()]
    return (
        0 < len(line) <= _TITLE_MAX
        and re.search(r"[^\w\s]\Z", line) is None
        and not line.isnumeric()
        and any(c.isnumeric() for c in line[:5])
        and sum(c.isalpha() for c in letters) >= len(letters) / 2
    )


def _parts_by_title(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        if not is_title(line.strip()):
            lines.append(line)
            continue
        yield "\n".join(lines)
        yield line.strip()
        lines = []
    yield "\n".join(lines)


def _split(text: str, options: ChunkOptions, level: int) -> list[str]:
    if len(text) <= options.size:
        return [text]
    pieces = [text]
    while len(pieces) == 1 and level < len(_SEPARATORS):
        pieces = _pieces(text, _SEPARATORS[level])
        level += 1
    if len(pieces) == 1:
        step = options.size - options.overlap
        return [text[at : at + options.size] for at in range(0, len(text) - options.overlap, step)]
    chunks: list[str] = []
    short: list[str] = []
    for piece in pieces:
        if len(piece) <= options.size:
            short.append(piece)
            continue
        chunks += _merge(short, options)
        short = []
        chunks += _split(piece, options, level)
    return [*chunks, *_merge(short, options)]


def _pieces(text: str, separator: re.Pattern[str]) -> list[str]:
    cuts = [0, *(found.end() for found in separator.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def _merge(pieces: list[str], options: ChunkOptions) -> Iterator[str]:
    """Neighbours together as long as they fit, each chunk beginning with the end of the last."""
    held: list[str] = []
    length = 0
    for piece in pieces:
        if held and length + len(piece) > options.size:
            yield "".join(held)
            while held and (length > options.overlap or length + len(piece) > options.size):
                length -= len(held.pop(0))
        held.append(piece)
        length += len(piece)
    if held:
        yield "".join(held)
