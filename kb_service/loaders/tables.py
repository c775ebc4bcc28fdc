"""Rows of cells to Markdown tables."""

from collections.abc import Iterator, Sequence

_LINE_MAX = 200
_CELL_MAX = 1_000  # longer ones are paragraphs: such a table was made for its looks


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the header; all rows get as many cells as the longest has."""
    width = max(map(len, rows))
    lines = [_line(row, width) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def table_or_text(rows: Sequence[Sequence[str]]) -> Iterator[tuple[bool, str]]:
    """(True, Markdown), or (False, line) for what only looks like a table."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if is_table(filled):
        yield True, markdown_table(filled)
        return
    for row in filled:
        cells = [cell.strip() for cell in row if cell.strip()]
        is_line = sum(map(len, cells)) <= _LINE_MAX
        yield from ((False, text) for text in ([" ".join(cells)] if is_line else cells))


def is_table(rows: Sequence[Sequence[str]]) -> bool:
    """More than one row and column, and no cell that is a text of its own."""
    return (
        len(rows) > 1
        and max(map(len, rows)) > 1
        and max(len(cell) for row in rows for cell in row) <= _CELL_MAX
    )


def _line(row: Sequence[str], width: int) -> str:
    cells = [" ".join(cell.split()).replace("|", r"\|") for cell in row]
    return "| " + " | ".join([*cells, *[""] * (width - len(cells))]) + " |"
