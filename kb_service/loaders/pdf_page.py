"""One PDF page: its text in the order of reading, and whether it is a picture of text."""

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

_DPI = 200
_SIDE_MAX = 3_000  # pixels
_FEW = 30  # characters that a scanner or a stamp may have put on a page that is a picture
_COVER = 0.5
_COLUMN_LINES = 6
Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True, slots=True)
class PageText:
    """`is_picture` when the text is not what a person sees there."""

    text: str
    is_picture: bool

    @staticmethod
    def picture(document: pypdfium2.PdfDocument, index: int) -> Any:
        """The page as an image (PIL). Raises PdfiumError."""
        page = document[index]
        try:
            scale = min(_DPI / 72, _SIDE_MAX / max(*page.get_size(), 1))
            return page.render(scale=scale, grayscale=False).to_pil().convert("RGB")
        finally:
            page.close()


def read_page(document: pypdfium2.PdfDocument, index: int) -> PageText:
    """Raises PdfiumError."""
    page = document[index]
    text_page = page.get_textpage()
    try:
        modes, has_picture, covered = _objects(page)
        is_mixed = modes == {True, False}
        text = _visible_text(text_page, page) if is_mixed else _ordered_text(text_page)
        letters = sum(1 for character in text if not character.isspace())
        unmapped = sum(
            1 for character in text if "\ue000" <= character <= "\uf8ff" or character in "\ufffd\0"
        )
        is_picture = (
            (not letters and has_picture) or (letters < _FEW and covered) or unmapped > letters / 2
        )
        return PageText(text, is_picture)
    finally:
        text_page.close()
        page.close()


def _objects(page: Any) -> tuple[set[bool], bool, bool]:
    """The kinds of text, visible (True) or not; whether there is a picture, and a large one."""
    modes: set[bool] = set()
    width, height = page.get_size()
    has_picture = covered = False
    for number in range(pdfium.FPDFPage_CountObjects(page)):
        piece = pdfium.FPDFPage_GetObject(page, number)
        kind = pdfium.FPDFPageObj_GetType(piece)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            modes.add(_is_visible(piece))
            continue
        has_picture = True  # or lines, which may be letters that were drawn
        if kind in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM) and not covered:
            left, bottom, right, top = (ctypes.c_float() for _ in range(4))
            if pdfium.FPDFPageObj_GetBounds(piece, left, bottom, right, top):
                area = (right.value - left.value) * (top.value - bottom.value)
                covered = area > _COVER * width * height
    return modes, has_picture, covered


def _is_visible(text_object: Any) -> bool:
    mode = pdfium.FPDFTextObj_GetTextRenderMode(text_object)
    return bool(mode != pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


def _visible_text(text_page: Any, page: Any) -> str:
    """Without what nobody sees on the page, though there is something that one does.

    A scan that was recognised by another program has invisible text only, and keeps it.
    """
    width, height = page.get_size()
    characters: list[str] = []
    for number in range(text_page.count_chars()):
        owner = pdfium.FPDFText_GetTextObject(text_page, number)
        left, bottom, right, top = text_page.get_charbox(number)
        is_on_page = right >= 0 and left <= width and top >= 0 and bottom <= height
        if not owner or (is_on_page and _is_visible(owner)):
            characters.append(chr(pdfium.FPDFText_GetUnicode(text_page, number)))
    return "".join(characters)


def _ordered_text(text_page: Any) -> str:
    """As the file has it, unless that goes to and fro between two columns."""
    boxes = [text_page.get_rect(number) for number in range(text_page.count_rects())]
    order = _by_columns(_runs(boxes))
    if order is None:
        text: str = text_page.get_text_bounded()
        return text
    return "\n".join(
        " ".join(text_page.get_text_bounded(*box).strip() for box in line) for line in order
    )


def _runs(boxes: Sequence[Box]) -> list[Box]:
    """Pieces that follow each other without a gap are one: some programs place each character."""
    runs: list[Box] = []
    for box in boxes:
        if runs:
            left, bottom, right, top = runs[-1]
            height, middle = top - bottom, (box[1] + box[3]) / 2
            if bottom <= middle <= top and -height < box[0] - right < height:
                runs[-1] = (left, min(bottom, box[1]), max(right, box[2]), max(top, box[3]))
                continue
        runs.append(box)
    return runs


def _by_columns(boxes: Sequence[Box]) -> list[list[Box]] | None:
    """The lines of two columns of prose, one after the other; None when all is well as it is."""
    if len(boxes) < 2 * _COLUMN_LINES:
        return None
    left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
    middle, slack = (left + right) / 2, (right - left) / 50
    sides = [_side(box, middle, slack) for box in boxes]
    if sides.count(0) > len(boxes) / 3:
        return None
    switches = sum(1 for one, other in pairwise(side for side in sides if side) if one != other)
    columns = [
        _lines([box for box, of in zip(boxes, sides, strict=True) if of == side])
        for side in (-1, 1)
    ]
    if switches < _COLUMN_LINES or min(map(len, columns)) < _COLUMN_LINES:
        return None
    if min(map(_mean_width, columns)) < 0.3 * (right - left):  # cells of a table are short
        return None
    return list(_bands(boxes, sides))


def _side(box: Box, middle: float, slack: float) -> int:
    if box[2] <= middle + slack:
        return -1
    return 1 if box[0] >= middle - slack else 0


def _lines(boxes: Sequence[Box]) -> list[list[Box]]:
    """From the top; boxes side by side are one line."""
    lines: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: -(box[1] + box[3])):
        centre = (box[1] + box[3]) / 2
        if lines and lines[-1][0][1] <= centre <= lines[-1][0][3]:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [sorted(line) for line in lines]


def _mean_width(lines: Sequence[Sequence[Box]]) -> float:
    return fmean(line[-1][2] - line[0][0] for line in lines) if lines else 0.0


def _bands(boxes: Sequence[Box], sides: Sequence[int]) -> Iterator[list[Box]]:
    """Between what runs over both columns: the left one, then the right one."""
    ordered = sorted(zip(boxes, sides, strict=True), key=lambda pair: -pair[0][3])
    for is_wide, band in groupby(ordered, lambda pair: pair[1] == 0):
        members = list(band)
        for side in (0,) if is_wide else (-1, 1):
            yield from _lines([box for box, of in members if of == side])
