"""Excel workbooks: short rows as tables, long ones as records."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.archives import check_archive
from kb_service.loaders.delimited import row_text
from kb_service.loaders.tables import markdown_table

_CELLS_MAX = 2_000_000
_ROWS_AT_ONCE = 200
_RECORD = 120  # characters: rows that are longer, or their header, make one chunk each
Row = tuple[int, list[str]]


def load(path: Path, reading: Reading) -> Iterator[Section]:
    check_archive(path)
    return _sheets(path)


def _sheets(path: Path) -> Iterator[Section]:
    with path.open("rb") as file:  # a path would have to end in .xlsx
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        budget = CellBudget()
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what a file says about its own size may lie
            yield from sheet_sections(sheet.title, budget.rows(sheet.iter_rows(values_only=True)))


class CellBudget:
    """Counts the cells of a workbook, the empty ones too."""

    def __init__(self) -> None:
        self._cells = 0

    def rows(self, rows: Iterable[Sequence[Any]]) -> Iterator[Row]:
        """Those with a value, with their numbers."""
        for number, values in enumerate(rows, 1):
            self._cells += len(values) + 1
            if self._cells > _CELLS_MAX:
                raise LoadFault(f"单元格超过 {_CELLS_MAX} 个。More than {_CELLS_MAX} cells.")
            row = [_cell_text(value) for value in values]
            while row and not row[-1]:
                row.pop()
            if row:
                yield number, row


def sheet_sections(name: str, rows: Iterator[Row]) -> Iterator[Section]:
    """Lines above the table as text, then tables or records that name their columns."""
    first = list(islice(rows, _ROWS_AT_ONCE))
    width = max((len(row) for _, row in first), default=0)
    while len(first) > 1 and width > 1 and _filled(first[0][1]) == 1 < _filled(first[1][1]):
        number, row = first.pop(0)
        yield Section(row_text([], row), {"sheet": name, "row": number})
    if not first:
        return
    number, columns = first.pop(0)
    if not first:
        yield Section(row_text([], columns), {"sheet": name, "row": number})
        return
    texts = [row_text(columns, row) for _, row in first]
    header = markdown_table([columns])
    if max(sum(map(len, texts)) / len(texts), len(header)) > _RECORD:
        yield from _records(name, columns, (number, columns), first, rows)
    else:
        yield from _tables(name, columns, first, rows)


def _records(
    name: str, columns: list[str], head: Row, first: list[Row], rows: Iterator[Row]
) -> Iterator[Section]:
    # The first row names the columns; it is a row too, as it may be all that somebody looks for.
    yield Section(row_text([], columns), {"sheet": name, "row": head[0]}, "record")
    for batch in (first, rows):
        for number, row in batch:
            yield Section(row_text(columns, row), {"sheet": name, "row": number}, "record")


def _tables(
    name: str, columns: list[str], first: list[Row], rows: Iterator[Row]
) -> Iterator[Section]:
    """A table ends with its sheet, at an empty row, or when it is long."""
    held: list[Row] = []
    for source in (first, rows):
        for number, row in source:
            if held and (number != held[-1][0] + 1 or len(held) >= _ROWS_AT_ONCE):
                yield _table(name, columns, held)
                held = []
            held.append((number, row))
    yield _table(name, columns, held)


def _table(name: str, columns: list[str], rows: list[Row]) -> Section:
    table = markdown_table([columns, *(row for _, row in rows)])
    return Section(table, {"sheet": name, "row": rows[0][0]}, "table")


def _filled(row: Sequence[str]) -> int:
    return sum(1 for cell in row if cell)


def _cell_text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float):
        with suppress(ValueError, OverflowError):
            return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"
    return str(value).strip()
