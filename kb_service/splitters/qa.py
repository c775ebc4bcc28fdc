"""Questions with their answers: one pair, one chunk, however long."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters.document import recursively, split_sections
from kb_service.splitters.tables import at_row, cells, row_text

# "Q:", "**Q1.**", "1. 问：", "【问题】", "## Question 3:" and the like at the beginning of a line.
# Bounded: what may repeat without end takes time without end on a line made for that.
_S = r"\s{0,9}"
_BEFORE = rf"[\s>#*_•\-]{{0,20}}(?:\d{{1,4}}{_S}[.、)）．]{_S})?[*_]{{0,3}}"
_BEHIND = rf"(?:{_S}\d{{1,4}}{_S}[.、:：．)）]|{_S}[*_]{{0,3}}{_S}[:：])"
_Q, _A = r"(?:question|q|问题|提问|问)", r"(?:answer|ans|a|答案|回答|解答|答复|答)"
_NUMBER = rf"{_S}\d{{0,4}}{_S}"
_QUESTION = re.compile(rf"{_BEFORE}(?:{_Q}{_BEHIND}|[【\[]{_S}{_Q}{_NUMBER}[】\]])", re.I)
_ANSWER = re.compile(rf"{_BEFORE}(?:{_A}{_BEHIND}|[【\[]{_S}{_A}{_NUMBER}[】\]])", re.I)
_PAIR_MAX = 8_000  # a longer one is a pair with all the text behind it, and no model embeds it
_QUESTION_COLUMN = re.compile(r"问题|提问|question|\A[问q]\Z", re.I)
_ANSWER_COLUMN = re.compile(r"答案|回答|解答|答复|answer|\A[答a]\Z", re.I)


def split(sections: Iterable[Section], options: ChunkOptions) -> Iterator[CustomDoc]:
    return split_sections(_pairs(sections), options, text=recursively)


def _pairs(sections: Iterable[Section]) -> Iterator[Section]:
    """Pairs as records, and whatever else there is as it was."""
    reader = _Reader()
    for section in sections:
        if section.kind != "text" or section.metadata.get("title") != reader.title:
            yield from reader.end()
        if section.kind == "table" and _is_of_pairs(section):
            yield from _rows(section)
        elif section.kind == "text":
            yield from reader.read(section)
        else:
            yield section
    yield from reader.end()


def _is_of_pairs(table: Section) -> bool:
    columns = cells(table.text.partition("\n")[0])
    answers = {name for name in columns if _ANSWER_COLUMN.search(name)}
    return bool(answers) and any(map(_QUESTION_COLUMN.search, set(columns) - answers))


def _rows(table: Section) -> Iterator[Section]:
    header, _, *rows = table.text.split("\n")
    for number, row in enumerate(rows):
        yield Section(row_text(header, row), at_row(table, number), "record")


@dataclass(slots=True)
class _Reader:
    """Lines of text to pairs; one may go on in the next section, as on the next page."""

    title: str | None = None
    _first: Section = field(default_factory=lambda: Section(""))
    _lines: list[str] = field(default_factory=list)
    _has_question: bool = False
    _has_answer: bool = False

    def read(self, section: Section) -> Iterator[Section]:
        if not self._has_question:
            yield from self.end()
            self._first = section
        self.title = section.metadata.get("title")
        for line in section.text.split("\n"):
            if _QUESTION.match(line):
                yield from self.end()
                self._first, self._has_question = section, True
            elif self._has_question and _ANSWER.match(line):
                self._has_answer = True
            self._lines.append(line)

    def end(self) -> Iterator[Section]:
        """What was read so far: a pair if it has an answer that can be one."""
        text = "\n".join(self._lines).strip()
        is_pair = self._has_answer and len(text) <= _PAIR_MAX
        self._lines, self._has_question, self._has_answer = [], False, False
        if text:
            yield Section(text, self._first.metadata, "record" if is_pair else "text")
