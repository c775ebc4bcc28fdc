"""Where in a document a passage stands, as a line for people: "第 12 页 · 3.2 年假"."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from chat_service.images import defused

_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_LONGEST_TITLE = 100


def place_of(metadata: Mapping[str, Any], text: str) -> str:
    """In the language of the text; empty when nothing is known beside the file."""
    return " · ".join(_parts(metadata, text))


def _parts(metadata: Mapping[str, Any], text: str) -> Iterator[str]:
    is_chinese = _IDEOGRAPH.search(text) is not None
    first, last = metadata.get("page"), metadata.get("page_to")
    if isinstance(first, int):
        pages = f"{first}–{last}" if isinstance(last, int) and last > first else str(first)
        yield f"第 {pages} 页" if is_chinese else f"page {pages}"
    if isinstance(slide := metadata.get("slide"), int):
        yield f"第 {slide} 张幻灯片" if is_chinese else f"slide {slide}"
    if sheet := _line(metadata.get("sheet")):
        yield f"工作表 {sheet}" if is_chinese else f"sheet {sheet}"
    title = _line(metadata.get("title"))
    if title and not text.startswith(str(metadata["title"])):  # some chunks begin with it
        yield title


def _line(value: Any) -> str:
    line = defused(" ".join(str(value or "").split()))
    return line if len(line) <= _LONGEST_TITLE else f"{line[:_LONGEST_TITLE]}…"
