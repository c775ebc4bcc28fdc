"""What is on the management wire about evaluation sets and their items."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from kb_service.evaluation.reading import (
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_QUESTION,
    LONGEST_TEXT,
    TARGETS_MAX,
)
from kb_service.evaluation.sets import Imported
from kb_service.evaluation_entities import EvalSet, Expectation, Item, NewItem
from kb_service.schemas import ListPage, UtcTime

# No database but SQLite stores NUL.
_PRINTED = r"^[^\x00]*[^\x00\s][^\x00]*$"
_ANY = r"^[^\x00]*$"


def _text(most: int, pattern: str = _PRINTED) -> Any:
    return StringConstraints(max_length=most, pattern=pattern, strip_whitespace=True)


SetName = Annotated[str, _text(100)]
Note = Annotated[str, _text(LONGEST_NOTE, _ANY)]
Question = Annotated[str, _text(LONGEST_QUESTION)]
FileNames = Annotated[list[Annotated[str, _text(LONGEST_NAME)]], Field(max_length=TARGETS_MAX)]
Passages = Annotated[list[Annotated[str, _text(LONGEST_TEXT)]], Field(max_length=TARGETS_MAX)]
Answer = Annotated[str, _text(LONGEST_TEXT, _ANY)]
Label = Annotated[str, _text(200, _ANY)]


class NewSet(BaseModel):
    name: SetName
    note: Note = ""


class ChangeSet(BaseModel):
    """What is not there stays as it is."""

    name: SetName | None = None
    note: Note | None = None

    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)


class SetItem(BaseModel):
    """`judged` is how many of its items say what should be found, or that nothing should be."""

    id: int
    name: str
    note: str
    create_time: UtcTime
    items: int
    judged: int
    runs: int

    @classmethod
    def of(cls, one: EvalSet) -> "SetItem":
        return cls.model_validate(one, from_attributes=True)


class SetItems(ListPage):
    items: list[SetItem]


class ItemBody(BaseModel):
    """A question is right when one of the passages is found; without passages, one of the files.

    `refuse`: nothing may be found. The answer is kept, and not measured yet.
    """

    question: Question
    files: FileNames = []
    passages: Passages = []
    answer: Answer = ""
    refuse: bool = False
    note: Note = ""

    def entity(self) -> NewItem:
        files, passages = dict.fromkeys(self.files), dict.fromkeys(self.passages)
        expected = Expectation(tuple(files), tuple(passages), self.answer, self.refuse)
        return NewItem(self.question, expected, self.note)


class ChangeItem(BaseModel):
    """What is not there stays as it is."""

    question: Question = "-"
    files: FileNames = []
    passages: Passages = []
    answer: Answer = ""
    refuse: bool = False
    note: Note = ""

    def onto(self, known: Item) -> NewItem:
        before = EvalItem.of(known).model_dump(exclude={"id"})
        return ItemBody(**(before | self.model_dump(exclude_unset=True))).entity()


class EvalItem(BaseModel):
    id: int
    question: str
    files: list[str]
    passages: list[str]
    answer: str
    refuse: bool
    note: str

    @classmethod
    def of(cls, item: Item) -> "EvalItem":
        expected = item.expected
        return cls(
            id=item.id,
            question=item.question,
            files=list(expected.files),
            passages=list(expected.passages),
            answer=expected.answer,
            refuse=expected.refuses,
            note=item.note,
        )


class EvalItems(ListPage):
    items: list[EvalItem]


class BadLine(BaseModel):
    line: int
    reason: str


class ImportedItems(BaseModel):
    """`lines` has the first of those that were not taken, `unknown_files` the first file names that
    are expected and that the knowledge base does not have.
    """

    added: int
    replaced: int
    unchanged: int
    invalid: int
    lines: list[BadLine]
    unknown_files: list[str]

    @classmethod
    def of(cls, done: Imported) -> "ImportedItems":
        return cls(
            added=done.added,
            replaced=done.replaced,
            unchanged=done.unchanged,
            invalid=len(done.bad),
            lines=[BadLine(line=line, reason=reason) for line, reason in done.bad[:100]],
            unknown_files=done.unknown_files[:100],
        )
