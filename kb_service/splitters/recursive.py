"""At paragraphs, else at lines, sentences, clauses or words, Chinese or not."""

from collections.abc import Iterable, Iterator

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import recursively, split_sections


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(sections, options, text=recursively)
