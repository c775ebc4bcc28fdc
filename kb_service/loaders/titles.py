"""Lines and headings to sections that know the path of titles above them."""

from collections.abc import Iterable, Iterator

from kb_service.loaders import Section


def sections_by_title(blocks: Iterable[tuple[int, str]]) -> Iterator[Section]:
    """`blocks` are (0, text) or (level, heading); a heading opens a section and stays in it."""
    path: dict[int, str] = {}
    lines: list[str] = []
    has_text = False
    for level, text in blocks:
        if level and has_text:
            yield _section(lines, path)
            lines, has_text = [], False
        if level:
            path = {known: title for known, title in path.items() if known < level}
            path[level] = text.strip()
        has_text = has_text or (not level and bool(text.strip()))
        lines.append(text)
    if any(line.strip() for line in lines):
        yield _section(lines, path)


def _section(lines: list[str], path: dict[int, str]) -> Section:
    title = " > ".join(title for _, title in sorted(path.items()) if title)
    return Section("\n".join(lines), {"title": title} if title else {})
