"""Items as a table that can be imported again, and that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from kb_service.evaluation_entities import Item

_HEAD = ("question", "file", "passage", "answer", "refuse", "note")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "\ufeff"  # without it Excel takes UTF-8 for something else


def csv_head() -> str:
    return _MARK + _line(_HEAD)


def csv_lines(items: Iterable[Item]) -> Iterator[str]:
    """One line for an item, and further ones for its further expectations."""
    for item in items:
        expected = item.expected
        targets = list(zip_longest(expected.files, expected.passages, fillvalue=""))
        first, *more = targets or [("", "")]
        refuses = "true" if expected.refuses else ""
        yield _line((item.question, *first, expected.answer, refuses, item.note))
        for target in more:
            yield _line((item.question, *target, "", "", ""))


def _line(cells: Iterable[str]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerow(_safe(cell) for cell in cells)
    return made.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
