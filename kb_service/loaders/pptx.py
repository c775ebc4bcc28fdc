"""PowerPoint presentations (pptx)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pptx

from kb_service.loaders import Reading, Section
from kb_service.loaders.archives import check_archive
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title


def load(path: Path, reading: Reading) -> Iterator[Section]:
    check_archive(path)
    return _slides(pptx.Presentation(str(path)))


def _slides(presentation: Any) -> Iterator[Section]:
    for number, slide in enumerate(presentation.slides, 1):
        yield from sections_by_title(_blocks(slide), {"slide": number})


def _blocks(slide: Any) -> Iterator[tuple[int, str]]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame and title.text_frame.text.strip():
        yield 1, title.text_frame.text
    for shape in slide.shapes:
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape_blocks(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield from _lines(slide.notes_slide.notes_text_frame.text)


def _shape_blocks(shape: Any) -> Iterator[tuple[int, str]]:
    if hasattr(shape, "shapes"):  # a group
        for inner in shape.shapes:
            yield from _shape_blocks(inner)
    elif shape.has_text_frame:
        yield from _lines(shape.text_frame.text)
    elif getattr(shape, "has_table", False) and shape.has_table:
        rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
        for is_table, text in table_or_text(rows):
            yield (TABLE if is_table else TEXT), text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    if text.strip():
        yield TEXT, text.replace("\v", "\n")
