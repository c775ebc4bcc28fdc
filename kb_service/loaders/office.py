"""Word, Excel and PowerPoint documents of the XML kind."""

import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from kb_service.loaders import LoadFault, Section
from kb_service.loaders.text import row_text
from kb_service.loaders.titles import sections_by_title

_MAIN_PART = {
    ".docx": "word/document.xml",
    ".xlsx": "xl/workbook.xml",
    ".pptx": "ppt/presentation.xml",
}
_INFLATED_MAX = 400 * 1024 * 1024
_XML_MAX = 100 * 1024 * 1024
_ENTRIES_MAX = 20_000
_CELLS_MAX = 2_000_000
_NOT_OFFICE = "内容与扩展名不符或文件已损坏。The content is not what the extension says."


def load(path: Path, extension: str) -> Iterator[Section]:
    check_archive(path, _MAIN_PART[extension])
    return {".docx": _docx, ".xlsx": _xlsx, ".pptx": _pptx}[extension](path)


def check_archive(path: Path, main_part: str, *, inflated_max: int = _INFLATED_MAX) -> None:
    """Inflates everything once, counting what really comes out: sizes in an archive may lie."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if main_part not in archive.namelist():
                raise LoadFault(_NOT_OFFICE)
            if len(entries) > _ENTRIES_MAX:
                raise LoadFault("压缩包条目过多。The archive has too many entries.")
            inflated = xml = 0
            for entry in entries:
                with archive.open(entry) as part:
                    size = _inflate(part, inflated_max - inflated)
                inflated += size
                xml += size if entry.filename.endswith((".xml", ".rels")) else 0
                if xml > _XML_MAX:
                    raise _too_large()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError):
        raise LoadFault(_NOT_OFFICE) from None


def _inflate(part: Any, allowed: int) -> int:
    size = 0
    while data := part.read(1 << 16):
        size += len(data)
        if size > allowed:
            raise _too_large()
    return size


def _too_large() -> LoadFault:
    return LoadFault("解压后的内容过大。The document inflates to too much.")


def _docx(path: Path) -> Iterator[Section]:
    import docx

    return sections_by_title(_docx_blocks(docx.Document(str(path))))


def _docx_blocks(document: Any) -> Iterator[tuple[int, str]]:
    from docx.text.paragraph import Paragraph

    for block in document.iter_inner_content():
        if isinstance(block, Paragraph):
            yield _heading_level(block), block.text
        else:
            for row in block.rows:
                yield 0, _docx_row(row)


def _heading_level(paragraph: Any) -> int:
    style = paragraph.style.name if paragraph.style is not None else ""
    if style in {"Title", "标题"}:
        return 1
    name, _, level = style.rpartition(" ")
    return int(level) if name.lower() in {"heading", "标题"} and level in "123456" else 0


def _docx_row(row: Any) -> str:
    cells: list[str] = []
    last = None
    for cell in row.cells:  # a merged cell is given once a column
        if cell._tc is not last:
            cells.append(" ".join(cell.text.split()))
        last = cell._tc
    return " | ".join(cells)


def _xlsx(path: Path) -> Iterator[Section]:
    import openpyxl

    cells = 0
    with path.open("rb") as file:  # a path would have to end in .xlsx
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what a file says about its own size may lie
            columns: list[str] = []
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                cells += len(values) + 1
                if cells > _CELLS_MAX:
                    raise LoadFault(f"单元格超过 {_CELLS_MAX} 个。More than {_CELLS_MAX} cells.")
                row = [_cell_text(value) for value in values]
                if any(row):
                    # The first row names the columns; it is a row too, as it may be all there is.
                    yield Section(row_text(columns, row), {"sheet": sheet.title, "row": number})
                    columns = columns or row


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).strip()


def _pptx(path: Path) -> Iterator[Section]:
    import pptx

    presentation = pptx.Presentation(str(path))
    for number, slide in enumerate(presentation.slides, 1):
        lines = [line for shape in slide.shapes for line in _shape_lines(shape)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            lines.append(slide.notes_slide.notes_text_frame.text)
        text = "\n".join(line for line in lines if line.strip())
        title = slide.shapes.title
        named = {"title": title.text} if title is not None and title.text.strip() else {}
        if text:
            yield Section(text, {"slide": number, **named})


def _shape_lines(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):  # a group
        for inner in shape.shapes:
            yield from _shape_lines(inner)
    elif shape.has_text_frame:
        yield shape.text_frame.text
    elif getattr(shape, "has_table", False) and shape.has_table:
        for row in shape.table.rows:
            yield " | ".join(" ".join(cell.text.split()) for cell in row.cells)
