"""What commands print: tables for people, JSON for programs."""

import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from auth_service.api.administration import Answer, page_answer
from auth_service.store.paging import Page, Paging

Row = TypeVar("Row")
Columns = Mapping[str, Callable[[Row], Any]]


def print_json(shown: BaseModel) -> None:
    print(shown.model_dump_json(indent=2))


def print_page(
    page: Page[Row],
    paging: Paging,
    columns: Columns[Row],
    *,
    shown: type[Answer],
    as_json: bool,
) -> None:
    """One line an item, or what the route answers."""
    if as_json:
        print_json(page_answer(shown, page, paging))
        return
    print_table([[str(read(item)) for read in columns.values()] for item in page.items], *columns)
    if page.total > len(page.items):
        told = f"{len(page.items)} of {page.total}; --page shows others. 可用 --page 翻页。"
        print(told, file=sys.stderr)


def print_table(rows: list[list[str]], *headings: str) -> None:
    lines = [list(headings), *rows]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(headings) - 1)]
    for line in lines:
        padded = [
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=False)
        ]
        print("  ".join([*padded, line[-1]]).rstrip())


def state(enable: bool) -> str:
    return "enabled" if enable else "disabled"


def told_state(enable: bool) -> str:
    """The end of the sentence that says what a switch did."""
    word = "enabled 已启用" if enable else "disabled 已停用"
    return f"is {word}. Takes effect within 30 s. 30 秒内生效。"


def utc(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _width(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
