"""Small children are searched, the answer is given their parent."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import recursively, split_sections
from kb_service.splitters.pieces import split_text
from kb_service.splitters.tables import rows_that_fit, split_table


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(sections, options, text=_text, table=_table)


def _text(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    for parent in split_text(section.text, options.parent_size, 0):
        children = recursively(replace(section, text=parent), options)
        yield from _with_parent(parent, children)


def _table(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    title = section.metadata.get("title", "")
    for part in rows_that_fit(section, options.parent_size):
        if part.kind == "table":
            parent = f"{title}\n\n{part.text}" if title else part.text
            yield from _with_parent(parent, split_table(part, options))
        else:
            yield from _text(part, options)


def _with_parent(parent: str, children: Iterable[CustomDoc]) -> Iterator[CustomDoc]:
    """A child that is all of its parent needs no context."""
    for child in children:
        yield child if child.content == parent else replace(child, context=parent)
