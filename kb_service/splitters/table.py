"""Tables by rows with the header repeated, also those that stand as lines in a text."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.loaders.tables import markdown_table
from kb_service.splitters.document import recursively, split_sections

_LEAST_ROWS = 3  # of cells between tabs: two such lines may be anything


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(_with_tables(sections), options, text=recursively)


def _with_tables(sections: Iterable[Section]) -> Iterator[Section]:
    for section in sections:
        if section.kind == "text" and ("|" in section.text or "\t" in section.text):
            yield from _tables_in(section)
        else:
            yield section


def _tables_in(section: Section) -> Iterator[Section]:
    lines = section.text.split("\n")
    text_from = at = 0
    while at < len(lines):
        end, table = _pipe_table(lines, at) or _tab_table(lines, at) or (at + 1, "")
        if table:
            yield replace(section, text="\n".join(lines[text_from:at]))
            yield replace(section, text=table, kind="table")
            text_from = end
        at = end
    yield replace(section, text="\n".join(lines[text_from:]))


def _pipe_table(lines: list[str], at: int) -> tuple[int, str] | None:
    """Where it ends, and the table."""
    rule = lines[at + 1] if at + 1 < len(lines) else ""
    if "|" not in lines[at] or "|" not in rule or "-" not in rule or rule.strip("|:- \t"):
        return None
    end = at + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end, "\n".join(line.strip() for line in lines[at:end])


def _tab_table(lines: list[str], at: int) -> tuple[int, str] | None:
    """The same for lines with as many tabs each."""
    tabs = lines[at].strip("\n ").count("\t")
    end = at
    while tabs and end < len(lines) and lines[end].strip() and lines[end].count("\t") == tabs:
        end += 1
    if end - at < _LEAST_ROWS or any(line.startswith("\t") for line in lines[at:end]):
        return None
    return end, markdown_table([line.split("\t") for line in lines[at:end]])
