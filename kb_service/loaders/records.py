"""Tables and JSON lines as records, for those who want values and not text."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from kb_service.loaders import FORMATS, LoadFault
from kb_service.loaders.encodings import read_text
from kb_service.loaders.kinds import loader_for

Record = tuple[int, dict[str, Any] | None]


def read_records(path: Path, extension: str, most: int) -> list[Record]:
    """Values by column, with the number of their line; None for a line that cannot be read.

    The first row of a table names its columns. Raises LoadFault, also when there are more.
    """
    loader = loader_for(path, extension, FORMATS[extension])
    read = {"CSVLoader": _csv, "XlsxLoader": _xlsx, "JSONLinesLoader": _json_lines}.get(loader)
    if read is None:
        raise LoadFault("内容与扩展名不符。The content is not what the extension says.")
    records = list(islice(read(path), most + 1))
    if len(records) > most:
        raise LoadFault(f"超过 {most} 行，请拆分文件。More than {most} lines, split the file.")
    return records


def _csv(path: Path) -> Iterator[Record]:
    text = read_text(path)
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",\t;", key=head.count))
    try:
        columns = next(rows, [])
        line = rows.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                yield line, _named(columns, row)
            line = rows.line_num + 1
    except csv.Error as error:
        raise LoadFault(f"CSV 格式错误。Bad CSV: {error}") from None


def _xlsx(path: Path) -> Iterator[Record]:
    """Of the first sheet."""
    import openpyxl

    from kb_service.loaders.archives import check_archive
    from kb_service.loaders.xlsx import CellBudget

    check_archive(path)
    with path.open("rb") as file:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # what a file says about its own size may lie
        rows = CellBudget().rows(sheet.iter_rows(values_only=True))
        _, columns = next(rows, (0, []))
        for number, row in rows:
            yield number, _named(columns, row)


def _json_lines(path: Path) -> Iterator[Record]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, _object(line)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _named(columns: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    return {name: cell for name, cell in zip(columns, row, strict=False) if name.strip()}
