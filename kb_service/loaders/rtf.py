"""RTF documents."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from striprtf.striprtf import rtf_to_text

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_DOUBLE_BYTE = re.compile(rb"\\ansicpg(936|950|932|949)\b")
# The second byte of a character may be a letter; where the first is escaped, so must it be.
_PAIR = re.compile(rb"(\\'[89a-f][0-9a-f])(\\'[0-9a-f]{2}|[@-\[\]-z|~])", re.IGNORECASE)


def load(path: Path, reading: Reading) -> Iterator[Section]:
    raw = _BEYOND_ASCII.sub(lambda byte: b"\\'%02x" % byte[0][0], path.read_bytes())
    if _DOUBLE_BYTE.search(raw[:4096]):
        raw = _PAIR.sub(_escaped_pair, raw)
    # Else a regular expression of the library's looks for links, for ever in a hostile file.
    raw = raw.replace(b"{\\field{", b"{\\field {")
    text: str = rtf_to_text(  # type: ignore[no-untyped-call]  # it has no types
        raw.decode("ascii"), errors="replace"
    )
    if not text.strip():
        raise LoadFault("文件中没有文字。The file has no text.")
    return sections_by_title(_blocks(text.split("\n")))


def _escaped_pair(pair: re.Match[bytes]) -> bytes:
    return pair[1] + (pair[2] if pair[2].startswith(b"\\") else b"\\'%02x" % pair[2][0])


def _blocks(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Rows of a table come as lines of cells that each end with a bar."""
    for cells, group in groupby(lines, lambda line: line.count("|") if line.endswith("|") else 0):
        if not cells:
            yield from ((TEXT, line) for line in group)
            continue
        for is_table, text in table_or_text([line[:-1].split("|") for line in group]):
            yield (TABLE if is_table else TEXT), text
