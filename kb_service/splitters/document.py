"""What all splitters have in common: they differ in how they cut running text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.pieces import split_text
from kb_service.splitters.tables import split_table
from kb_service.splitters.titles import parts_by_title

Cut = Callable[[Section, ChunkOptions], Iterator[CustomDoc]]


def recursively(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    for text in split_text(section.text, options.size, options.overlap):
        yield CustomDoc(text, section.metadata)


def split_sections(
    sections: Iterable[Section], options: ChunkOptions, *, text: Cut, table: Cut = split_table
) -> Iterator[CustomDoc]:
    """Records as they are, tables and text as the cuts say, with the metadata of their sections."""
    title = ""
    for section in sections:
        if section.kind == "record":
            yield CustomDoc(section.text, section.metadata)
        elif section.kind == "table":
            yield from table(section, options)
        elif not options.zh_title_enhance:
            yield from text(section, options)
        else:
            for part, is_title in parts_by_title(section.text):
                if is_title:
                    title = part
                    yield CustomDoc(part, section.metadata | {"category": "cn_Title"})
                else:
                    docs = text(replace(section, text=part), options)
                    yield from (_under(title, doc) for doc in docs)


def _under(title: str, doc: CustomDoc) -> CustomDoc:
    """The chunk, saying in itself what it is about."""
    if not title:
        return doc
    about = f"下文与({title})有关。"
    context = None if doc.context is None else about + doc.context
    return replace(doc, content=about + doc.content, context=context)
