"""Plain text and the formats that are text: Markdown, HTML, CSV, JSON and JSON lines."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from kb_service.loaders import LoadFault, Section
from kb_service.loaders.titles import sections_by_title

_BINARY: tuple[bytes, ...] = (
    *(b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\xd0\xcf\x11\xe0"),
    *(b"\x7fELF", b"MZ\x90", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b"),
)
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_CELL_MAX = 10_000_000


def load(path: Path, loader: str) -> Iterator[Section]:
    raw = path.read_bytes()
    if raw.startswith(_BINARY):
        raise LoadFault("内容不是文本，与扩展名不符。The content is not text.")
    declared = _CHARSET.search(raw[:4096]) if loader == "HTMLLoader" else None
    text = decode(raw, declared[1].decode() if declared else None)
    if not text.strip():
        raise LoadFault("文件中没有文字。The file has no text.")
    return _READERS[loader](text)


def decode(raw: bytes, declared: str | None = None) -> str:
    """UTF-8, UTF-16 with a mark, what the document declares, GB18030, then the best guess."""
    for encoding in _candidates(raw, declared):
        try:
            return raw.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    from charset_normalizer import from_bytes

    guess = from_bytes(raw[:100_000]).best()
    if guess is None or (b"\0" in raw and not guess.encoding.startswith("utf")):
        raise LoadFault("无法识别文本编码。The text encoding is not known.")
    return raw.decode(guess.encoding, errors="replace")


def _candidates(raw: bytes, declared: str | None) -> list[str]:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    if b"\0" in raw[:100_000]:  # text without a mark, or no text at all: both for the guess
        return []
    return ["utf-8-sig", *([declared] if declared else []), "gb18030"]


def _plain(text: str) -> Iterator[Section]:
    yield Section(_unix_lines(text))


def _markdown(text: str) -> Iterator[Section]:
    return sections_by_title(_markdown_blocks(_unix_lines(text)))


def _markdown_blocks(text: str) -> Iterator[tuple[int, str]]:
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        heading = None if fence else _HEADING.match(line)
        yield (len(heading[1]), heading[2]) if heading else (0, line)


def _html(text: str) -> Iterator[Section]:
    from kb_service.loaders.html import blocks

    return sections_by_title(blocks(text))


def _csv(text: str) -> Iterator[Section]:
    """One section a row, `column: value` lines, never split."""
    csv.field_size_limit(_CELL_MAX)
    head = text.partition("\n")[0]
    delimiter = max(",\t;", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip() for name in next(rows, [])]
        for number, row in enumerate(rows):
            lines = row_text(columns, row)
            if lines:
                yield Section(lines, {"row": number}, atomic=True)
    except csv.Error as error:
        raise LoadFault(f"CSV 格式错误。Bad CSV: {error}") from None


def row_text(columns: list[str], row: list[str]) -> str:
    """`column: value` lines of the cells that have a value."""
    lines = []
    for number, value in enumerate(row):
        name = columns[number] if number < len(columns) else ""
        if value.strip():
            lines.append(f"{name}: {value.strip()}" if name else value.strip())
    return "\n".join(lines)


def _json(text: str) -> Iterator[Section]:
    """One section an item of the top level."""
    top = _parsed(text, "")
    if isinstance(top, list):
        for number, item in enumerate(top):
            yield Section(_json_text(item), {"index": number})
    elif isinstance(top, dict):
        for key, value in top.items():
            yield Section(f"{key}: {_json_text(value)}", {"key": key})
    else:
        yield Section(_json_text(top))


def _json_lines(text: str) -> Iterator[Section]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            item = _parsed(line, f"第 {number} 行。Line {number}. ")
            yield Section(_json_text(item), {"line": number})


def _parsed(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise LoadFault(f"JSON 格式错误。{where}Bad JSON: {error}") from None


def _json_text(item: Any) -> str:
    if isinstance(item, dict):
        return "\n".join(f"{key}: {_json_value(value)}" for key, value in item.items())
    return _json_value(item)


def _json_value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_READERS: dict[str, Callable[[str], Iterator[Section]]] = {
    "TextLoader": _plain,
    "MarkdownLoader": _markdown,
    "HTMLLoader": _html,
    "CSVLoader": _csv,
    "JSONLoader": _json,
    "JSONLinesLoader": _json_lines,
}
