"""Lines, headings and tables to sections that know the path of titles above them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kb_service.loaders import Section

TEXT = 0
TABLE = -1


def sections_by_title(
    blocks: Iterable[tuple[int, str]], where: Mapping[str, Any] | None = None
) -> Iterator[Section]:
    """`blocks` are (TEXT, text), (level, heading) or (TABLE, Markdown).

    A heading opens a section and stays in it; a table is a section of its own. `where` is metadata
    that all of them have.
    """
    path: dict[int, str] = {}
    lines: list[str] = []
    has_text = False
    for level, text in blocks:
        if level and has_text:
            yield _section("\n".join(lines), path, where)
        if level == TABLE or (level and has_text):
            lines, has_text = [], False
        if level == TABLE:
            yield _section(text, path, where, is_table=True)
            continue
        if level:
            path = {known: title for known, title in path.items() if known < level}
            path[level] = " ".join(text.split())
        has_text = has_text or (not level and bool(text.strip()))
        lines.append(text)
    if any(line.strip() for line in lines):
        yield _section("\n".join(lines), path, where)


def _section(
    text: str, path: dict[int, str], where: Mapping[str, Any] | None, *, is_table: bool = False
) -> Section:
    title = " > ".join(title for _, title in sorted(path.items()) if title)
    metadata = dict(where or {}) | ({"title": title} if title else {})
    return Section(text, metadata, "table" if is_table else "text")
