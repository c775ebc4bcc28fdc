"""reStructuredText."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from docutils.utils import SystemMessage

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.encodings import read_text
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_TEXT_MAX, _LINE_MAX = 500_000, 10_000
# Nothing is read from disk, nothing is written or shown, and no fault ends the reading.
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "warning_stream": False,
    "_disable_config": True,
    "line_length_limit": _LINE_MAX,
    "doctitle_xform": False,
}


def load(path: Path, reading: Reading) -> Iterator[Section]:
    text = read_text(path)
    if len(text) > _TEXT_MAX or max(map(len, text.split("\n"))) > _LINE_MAX:
        # The library would take minutes, and nobody wrote such a line.
        return iter([Section(text)])
    try:
        document = publish_doctree(text, settings_overrides=_SETTINGS)
    except SystemMessage as error:
        raise LoadFault(f"reStructuredText 格式错误。Bad reStructuredText: {error}") from None
    return sections_by_title(_blocks(document, 0))


def _blocks(parent: Any, level: int) -> Iterator[tuple[int, str]]:
    for node in parent.children:
        if isinstance(node, nodes.section):
            yield from _blocks(node, level + 1)
        elif isinstance(node, nodes.title):
            yield min(level, 6), node.astext()
        elif isinstance(node, nodes.table):
            yield from _table(node)
        elif isinstance(node, nodes.TextElement):
            yield TEXT, node.astext()
        elif not isinstance(node, nodes.Invisible):
            # Also what only Sphinx knows: its message holds it as it was written.
            yield from _blocks(node, level)


def _table(table: nodes.table) -> Iterator[tuple[int, str]]:
    rows = [
        [" ".join(entry.astext().split()) for entry in row.children]
        for row in table.findall(nodes.row)
    ]
    for is_table, text in table_or_text(rows):
        yield (TABLE if is_table else TEXT), text
