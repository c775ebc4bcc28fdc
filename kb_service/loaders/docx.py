"""Word documents (docx)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx

from kb_service.loaders import Reading, Section
from kb_service.loaders.archives import check_archive
from kb_service.loaders.docx_numbers import Numbers
from kb_service.loaders.safe_xml import parse_xml
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_WRAPPERS = {
    f"{_W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")
}
_BOX = f"{_W}txbxContent"
_LEVELS = 6


def load(path: Path, reading: Reading) -> Iterator[Section]:
    check_archive(path)
    document = docx.Document(str(path))
    return sections_by_title(_Body(document).blocks())


class _Body:
    """What is written in it, with boxes and changes as if accepted; then its notes."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._styles = {
            style.get(f"{_W}styleId"): style for style in document.styles.element.iter(f"{_W}style")
        }
        self._levels: dict[str | None, int] = {None: 0}
        parts = document.part.rels.values()
        numbering = [part for part in parts if part.reltype.endswith("/numbering")]
        self._numbers = Numbers(
            numbering[0].target_part.element if numbering else None, self._styles
        )

    def blocks(self) -> Iterator[tuple[int, str]]:
        yield from self._inside(self._document.element.body)
        for part in self._document.part.rels.values():
            if part.reltype.endswith(("/footnotes", "/endnotes")) and not part.is_external:
                notes = parse_xml(part.target_part.blob)
                yield from ((TEXT, text) for text in map(_text, notes.iter(f"{_W}p")) if text)

    def _inside(self, parent: Any) -> Iterator[tuple[int, str]]:
        for child in parent:
            if child.tag == f"{_W}p":
                text = _text(child)
                # Nothing is counted that shows nothing.
                number = self._numbers.next(child) if text.strip() else ""
                yield self._level(child), number + text
                for box in child.iter(_BOX):
                    if not any(True for _ in box.iterancestors(_FALLBACK)):
                        yield from self._inside(box)
            elif child.tag == f"{_W}tbl":
                for is_table, text in table_or_text(_rows(child)):
                    yield (TABLE if is_table else TEXT), text
            elif child.tag in _WRAPPERS:
                yield from self._inside(child)

    def _level(self, paragraph: Any) -> int:
        own = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if own is not None:
            return _outline(own)
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        return self._style_level(style.get(f"{_W}val") if style is not None else None)

    def _style_level(self, name: str | None) -> int:
        """By the outline level of the style or of one that it is based on."""
        if name not in self._levels:
            self._levels[name] = 0  # also what ends a circle
            style = self._styles.get(name)
            self._levels[name] = self._found_level(style) if style is not None else 0
        return self._levels[name]

    def _found_level(self, style: Any) -> int:
        named = style.find(f"{_W}name")
        title = (named.get(f"{_W}val") or "").lower() if named is not None else ""
        if title in {"title", "标题"}:
            return 1
        own = style.find(f"{_W}pPr/{_W}outlineLvl")
        if own is not None:
            return _outline(own)
        heading, _, level = title.rpartition(" ")
        if heading in {"heading", "标题"} and level in {"1", "2", "3", "4", "5", "6"}:
            return int(level)
        based = style.find(f"{_W}basedOn")
        return self._style_level(based.get(f"{_W}val")) if based is not None else 0


def _outline(element: Any) -> int:
    value = element.get(f"{_W}val") or ""
    return int(value) + 1 if value.isdecimal() and int(value) < _LEVELS else 0


def _text(paragraph: Any) -> str:
    """Of a paragraph alone, without the boxes on it. Deleted text has other tags."""
    words: list[str] = []
    stack = [paragraph]
    while stack:
        element = stack.pop()
        if element.tag == f"{_W}t":
            words.append(element.text or "")
        elif element.tag in _BREAKS and element.getparent().tag == f"{_W}r":
            words.append(_BREAKS[element.tag])
        elif element.tag not in {_BOX, _FALLBACK}:
            stack += reversed(element)
    return "".join(words)


def _rows(table: Any) -> list[list[str]]:
    """The cells; a merged one is repeated in each row that it reaches, once in each."""
    rows: list[list[str]] = []
    for line in table.iter(f"{_W}tr"):
        if _is_nested(line, table):
            continue
        row: list[str] = []
        for cell in line.iter(f"{_W}tc"):
            if _is_nested(cell, table):
                continue
            text = " ".join(" ".join(map(_text, cell.iter(f"{_W}p"))).split())
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            above = rows[-1] if rows else []
            if merge is not None and merge.get(f"{_W}val") != "restart" and len(row) < len(above):
                text = text or above[len(row)]
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            width = span.get(f"{_W}val") if span is not None else "1"
            row += [text, *[""] * (min(int(width), 100) - 1 if width.isdecimal() else 0)]
        rows.append(row)
    return rows


def _is_nested(element: Any, table: Any) -> bool:
    """Whether it belongs to a table in a cell of this one, whose text is in that cell."""
    return next(element.iterancestors(f"{_W}tbl")) is not table
