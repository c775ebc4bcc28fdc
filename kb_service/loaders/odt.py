"""OpenDocument texts (odt)."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_service.loaders import Reading, Section, damaged, encrypted
from kb_service.loaders.archives import check_archive
from kb_service.loaders.safe_xml import local_name, parse_xml
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_SILENT = {"annotation", "tracked-changes", "forms", "note-citation", "bookmark-start"}
_REPEAT_MAX = 100


def load(path: Path, reading: Reading) -> Iterator[Section]:
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise encrypted()
        root = parse_xml(archive.read("content.xml"))
    body = root.find(f"{_OFFICE}body/{_OFFICE}text")
    if body is None:
        raise damaged()
    return sections_by_title(_blocks(body))


def _blocks(parent: Any) -> Iterator[tuple[int, str]]:
    for child in parent:
        name = local_name(child)
        if child.tag == f"{_TEXT}h":
            level = child.get(f"{_TEXT}outline-level", "1")
            yield (min(int(level), 6) if level.isdecimal() else 1), _text(child)
        elif child.tag == f"{_TEXT}p":
            is_title = child.get(f"{_TEXT}style-name") == "Title"
            yield (1 if is_title else TEXT), _text(child)
            for box in child.iter("{*}text-box"):
                yield from _blocks(box)
        elif child.tag == f"{_TABLE}table":
            for is_table, text in table_or_text(_rows(child)):
                yield (TABLE if is_table else TEXT), text
        elif name and name not in _SILENT:
            yield from _blocks(child)


def _rows(table: Any) -> list[list[str]]:
    rows = []
    for line in table.iter(f"{_TABLE}table-row"):
        row: list[str] = []
        for cell in line:
            if local_name(cell) not in {"table-cell", "covered-table-cell"}:
                continue
            text = " ".join(" ".join(_text(p) for p in cell.iter(f"{_TEXT}p", f"{_TEXT}h")).split())
            repeat = cell.get(f"{_TABLE}number-columns-repeated", "1")
            row += [text] * (min(int(repeat), _REPEAT_MAX) if repeat.isdecimal() else 1)
        rows.append(row)
    return rows


def _text(element: Any) -> str:
    words = [element.text or ""]
    for child in element:
        name = local_name(child)
        if name in {"s", "tab", "line-break"}:
            count = child.get(f"{_TEXT}c", "1")
            spaces = " " * (min(int(count), _REPEAT_MAX) if count.isdecimal() else 1)
            words.append({"tab": "\t", "line-break": "\n"}.get(name, spaces))
        elif name == "note":
            words.append("（" + "".join(_text(p) for p in child.iter(f"{_TEXT}p")) + "）")
        elif name and name not in _SILENT and name != "frame":
            words.append(_text(child))
        words.append(child.tail or "")
    return "".join(words)
