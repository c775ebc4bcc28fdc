"""CSV and its like: one record a row."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.encodings import read_text

_CELL_MAX = 10_000_000


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return _records(read_text(path))


def _records(text: str) -> Iterator[Section]:
    csv.field_size_limit(_CELL_MAX)
    head = text.partition("\n")[0]
    delimiter = max(",\t;", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip() for name in next(rows, [])]
        for number, row in enumerate(rows):
            if lines := row_text(columns, row):
                yield Section(lines, {"row": number}, "record")
    except csv.Error as error:
        raise LoadFault(f"CSV 格式错误。Bad CSV: {error}") from None


def row_text(columns: Sequence[str], row: Sequence[str]) -> str:
    """`column: value` lines of the cells that have a value."""
    lines = []
    for number, value in enumerate(row):
        name = columns[number] if number < len(columns) else ""
        if value.strip():
            lines.append(f"{name}: {value.strip()}" if name else value.strip())
    return "\n".join(lines)
