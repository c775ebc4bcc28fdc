"""Old Excel workbooks."""

from collections.abc import Iterator
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from kb_service.loaders import Reading, Section, damaged, encrypted
from kb_service.loaders.xlsx import CellBudget, sheet_sections


def load(path: Path, reading: Reading) -> Iterator[Section]:
    try:
        workbook = CalamineWorkbook.from_path(path)
    except PasswordError:
        raise encrypted() from None
    except CalamineError:
        raise damaged() from None
    return _sheets(workbook)


def _sheets(workbook: CalamineWorkbook) -> Iterator[Section]:
    budget = CellBudget()
    for name in workbook.sheet_names:
        sheet = workbook.get_sheet_by_name(name)
        yield from sheet_sections(name, budget.rows(sheet.iter_rows()))
