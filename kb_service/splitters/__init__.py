"""Sections to chunks, in the way that their options name; lengths are counted in characters.

Where what is searched and what is answered differ, a chunk has a context beside its content.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters import (
    fixed,
    markdown,
    parent_child,
    qa,
    recursive,
    sentence_window,
    table,
)


class Splitter(Protocol):
    def __call__(
        self, sections: Iterable[Section], options: ChunkOptions
    ) -> Iterator[CustomDoc]: ...


_SPLITTERS: dict[str, Splitter] = {
    "recursive": recursive.split,
    "markdown": markdown.split,
    "fixed": fixed.split,
    "sentence_window": sentence_window.split,
    "table": table.split,
    "parent_child": parent_child.split,
    "qa": qa.split,
}
# What the old server called those that it had; the file table shows it.
_OLD_NAMES = {
    "recursive": "ChineseRecursiveTextSplitter",
    "markdown": "MarkdownHeaderTextSplitter",
}


def split_document(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    """The chunks of a document, with the metadata of their sections."""
    return _SPLITTERS[options.splitter](map(_storable, sections), options)


def shown_name(splitter: str) -> str:
    return _OLD_NAMES.get(splitter, splitter)


def _storable(section: Section) -> Section:
    """With one kind of line end, and without what cannot be stored: half characters, and NUL.

    PDF has NUL for glyphs without a meaning; PostgreSQL refuses it, SQLite's functions end there.
    """
    text = section.text
    if "\0" in text:
        text = text.replace("\0", "")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return section if text is section.text else replace(section, text=text)
