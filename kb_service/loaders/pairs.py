"""Tables of questions and answers: one row, one pair, and those that are there twice but once."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kb_service.loaders import LoadFault, Section
from kb_service.loaders.delimited import row_text
from kb_service.loaders.encodings import read_text
from kb_service.loaders.xlsx import CellBudget, Row, sheet_sections

_QUESTION = re.compile(r"问题|提问|question|\A[问q]\Z", re.I)
_ANSWER = re.compile(r"答案|回答|解答|答复|answer|\A[答a]\Z", re.I)
_CHINESE = re.compile("[\u4e00-\u9fff]")
_SHOWN = 10  # of row numbers in a note
_CELL_MAX = 10_000_000


def pair_sections(
    path: Path, loader: str, *, header_row: bool, notes: list[str]
) -> Iterator[Section] | None:
    """None for a file whose loader should read it: no table, or one without such columns."""
    read = {"CSVLoader": _of_text, "XlsxLoader": _of_xlsx, "XlsLoader": _of_xls}.get(loader)
    return read(path, header_row, notes) if read else None


def _of_text(path: Path, header_row: bool, notes: list[str]) -> Iterator[Section] | None:
    csv.field_size_limit(_CELL_MAX)
    text = read_text(path)
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",\t;", key=head.count))
    try:
        columns = _Columns.named(next(rows, [])) if header_row else _Columns()
    except csv.Error:
        return None  # its loader says why
    return _pairs(columns, _numbered(rows), {}, notes) if columns else None


def _of_xlsx(path: Path, header_row: bool, notes: list[str]) -> Iterator[Section]:
    import openpyxl

    with path.open("rb") as file:  # a path would have to end in .xlsx
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        budget = CellBudget()
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what a file says about its own size may lie
            rows = budget.rows(sheet.iter_rows(values_only=True))
            yield from _of_sheet(sheet.title, rows, header_row, notes)


def _of_xls(path: Path, header_row: bool, notes: list[str]) -> Iterator[Section]:
    from python_calamine import CalamineWorkbook

    workbook, budget = CalamineWorkbook.from_path(path), CellBudget()
    for name in workbook.sheet_names:
        rows = budget.rows(workbook.get_sheet_by_name(name).iter_rows())
        yield from _of_sheet(name, rows, header_row, notes)


def _of_sheet(
    name: str, rows: Iterator[Row], header_row: bool, notes: list[str]
) -> Iterator[Section]:
    if not header_row:
        yield from _pairs(_Columns(), rows, {"sheet": name}, notes)
        return
    first = next(rows, None)
    if first is None:
        return
    if columns := _Columns.named(first[1]):
        yield from _pairs(columns, rows, {"sheet": name}, notes)
    else:
        yield from sheet_sections(name, _after(first, rows))


class _Columns:
    """Which cells are question and answer; the first two where none are named."""

    def __init__(self, names: Sequence[str] = (), question: int = 0, answer: int = 1) -> None:
        self._names, self._question, self._answer = names, question, answer

    @classmethod
    def named(cls, names: Sequence[str]) -> "_Columns | None":
        plain = [name.strip().lstrip("\ufeff") for name in names]
        answer = next((n for n, name in enumerate(plain) if _ANSWER.search(name)), None)
        found = (n for n, name in enumerate(plain) if n != answer and _QUESTION.search(name))
        question = next(found, None)
        return None if question is None or answer is None else cls(plain, question, answer)

    def pair(self, row: Sequence[str]) -> tuple[str, str]:
        """Empty strings for what is missing."""
        cells = dict(enumerate(row))
        return cells.get(self._question, "").strip(), cells.get(self._answer, "").strip()

    def text(self, row: Sequence[str]) -> str:
        """With the further columns that it has."""
        if self._names:
            return row_text(self._names, row)
        is_chinese = _CHINESE.search(row[0])
        return row_text(("问题", "答案") if is_chinese else ("Question", "Answer"), row)


def _pairs(
    columns: _Columns, rows: Iterable[Row], place: dict[str, Any], notes: list[str]
) -> Iterator[Section]:
    answers: dict[str, set[str]] = {}
    left_out: dict[str, list[int]] = {"twice": [], "half": [], "other": []}
    for number, row in rows:
        question, answer = columns.pair(row)
        if not (question and answer):
            left_out["half"] += [number] if any(cell.strip() for cell in row) else []
            continue
        known = answers.setdefault(_plain(question), set())
        if _plain(answer) in known:
            left_out["twice"].append(number)
            continue
        left_out["other"] += [number] if known else []
        known.add(_plain(answer))
        yield Section(columns.text(row), place | {"row": number}, "record")
    sheet = f"{place['sheet']}: " if place else ""
    notes += [f"{sheet}{note}" for note in _notes(left_out)]


def _notes(rows: dict[str, list[int]]) -> Iterator[str]:
    if twice := rows["twice"]:
        yield f"重复的问答 {_list(twice)}，已略去。Pairs that are there twice were left out."
    if half := rows["half"]:
        yield f"缺少问题或答案 {_list(half)}，已略去。Rows without question or answer, left out."
    if other := rows["other"]:
        yield f"同一问题有不同答案 {_list(other)}。Questions with more than one answer were kept."


def _list(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:_SHOWN])) + (", …" if len(rows) > _SHOWN else "")
    return f"{len(rows)} (row {shown})"


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _numbered(rows: Iterable[list[str]]) -> Iterator[Row]:
    """From 0, as the loader of such files counts."""
    try:
        yield from enumerate(rows)
    except csv.Error as error:
        raise LoadFault(f"CSV 格式错误。Bad CSV: {error}") from None


def _after(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows
