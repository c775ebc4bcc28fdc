"""One sentence is searched, its neighbours are given to the answer with it."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import split_sections
from kb_service.splitters.pieces import split_text

_END = re.compile(r"\n+|[。！？…]+[”’」』）]*\n*|(?<=[.!?])[^\S\n]+|(?<=[.!?][\"”’)\]])[^\S\n]+")
# Fewer letters than that in so few characters, such as a number, belong to the next sentence.
_SAYS_NOTHING, _LABEL_MAX = 4, 12


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(sections, options, text=_windows)


def _windows(section: Section, options: ChunkOptions) -> Iterator[CustomDoc]:
    sentences = [
        piece for sentence in _sentences(section.text) for piece in _fitting(sentence, options)
    ]
    for at, sentence in enumerate(sentences):
        window = sentences[max(0, at - options.window) : at + options.window + 1]
        context = "".join(window).strip()
        content = sentence.strip()
        if content:
            yield CustomDoc(content, section.metadata, None if context == content else context)


def _sentences(text: str) -> Iterator[str]:
    """With the white space behind them."""
    cuts = [0, *(found.end() for found in _END.finditer(text)), len(text)]
    held = ""
    for start, end in pairwise(cuts):
        held += text[start:end]
        if len(held) > _LABEL_MAX or sum(map(str.isalpha, held)) >= _SAYS_NOTHING:
            yield held
            held = ""
    yield held


def _fitting(sentence: str, options: ChunkOptions) -> Iterable[str]:
    if len(sentence) <= options.size:
        return (sentence,)
    return split_text(sentence, options.size, options.overlap)
