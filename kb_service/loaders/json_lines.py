"""JSON lines: one section a line."""

from collections.abc import Iterator
from pathlib import Path

from kb_service.loaders import Reading, Section
from kb_service.loaders.encodings import read_text
from kb_service.loaders.json_document import item_text, parsed


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return _lines(read_text(path))


def _lines(text: str) -> Iterator[Section]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            item = parsed(line, f"第 {number} 行。Line {number}. ")
            yield Section(item_text(item), {"line": number})
