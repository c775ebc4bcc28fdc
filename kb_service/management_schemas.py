"""What is on the management wire about knowledge bases, their files and their questions."""

import re
from itertools import chain
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from kb_service.entities import FileState, KnowledgeBase, ManagedFile, NewQuestion, Question, Tag
from kb_service.entities import Statistics as Numbers
from kb_service.question_keys import LONGEST
from kb_service.questions.importing import LONGEST_ANSWER, Line, Outcome
from kb_service.questions.suggesting import Suggestion
from kb_service.schemas import ListPage, TagNames, UtcTime

BaseName = Annotated[str, Field(max_length=255)]
# No database but SQLite stores NUL.
ZhName = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
Info = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")]
Query = Annotated[str, Field(max_length=LONGEST, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Answer = Annotated[str, Field(max_length=LONGEST_ANSWER, pattern=r"^[^\x00]*$")]


ModelName = Annotated[
    str, Field(max_length=255, description='an embedding model, "" for the default one')
]


class NewKnowledgeBase(BaseModel):
    name: Annotated[str, Field(max_length=1_000)]
    zh_name: ZhName = ""
    info: Info = ""
    embed_model: ModelName = ""


class ChangeKnowledgeBase(BaseModel):
    """What is not there stays as it is."""

    zh_name: ZhName | None = None
    info: Info | None = None
    embed_model: ModelName | None = None


class FileItem(BaseModel):
    """`reason` is why it failed; while it is queued, running or failed, what it was before answers.

    Times and people are of the upload of its content, and unknown for what was there before that
    was noted.
    """

    name: str
    state: FileState
    reason: str
    job_id: int | None
    size: int
    chunks: int
    characters: int
    loader: str
    splitter: str
    custom_docs: bool
    upload_time: UtcTime | None
    owner_client: str
    owner_user: str
    tags: list[str]

    @classmethod
    def of(cls, file: ManagedFile) -> "FileItem":
        return cls.model_validate(file, from_attributes=True)


class Files(ListPage):
    items: list[FileItem]


class TagsBody(BaseModel):
    """Its tags from now on, in the place of those that it has."""

    tags: TagNames


def _separated(given: list[object]) -> list[object] | None:
    """None for a field that was left empty, as forms send it."""
    each = (re.split("[,，]", one) if isinstance(one, str) else [one] for one in given)
    return list(chain.from_iterable(each)) if any(given) else None


FormTags = Annotated[TagNames | None, BeforeValidator(_separated)]


class FileTags(BaseModel):
    name: str
    tags: list[str]


class TagItem(BaseModel):
    """`files` is how many have it."""

    name: str
    files: int

    @classmethod
    def of(cls, tag: Tag) -> "TagItem":
        return cls.model_validate(tag, from_attributes=True)


class Tags(ListPage):
    items: list[TagItem]


class MissedItem(BaseModel):
    query: str
    count: int
    last_time: UtcTime


class Statistics(BaseModel):
    """Characters are those of the chunks, so that overlaps count twice.

    `missed_queries` are the last that found nothing, each once; searches are written down every few
    seconds.
    """

    knowledge_base: str
    files: int
    chunks: int
    characters: int
    searches: int
    misses: int
    last_search: UtcTime | None
    missed_queries: list[MissedItem]

    @classmethod
    def of(cls, kb: KnowledgeBase, numbers: Numbers) -> "Statistics":
        return cls(
            knowledge_base=kb.name,
            files=numbers.files,
            chunks=numbers.chunks,
            characters=numbers.characters,
            searches=numbers.searches,
            misses=numbers.misses,
            last_search=numbers.last_search,
            missed_queries=[
                MissedItem.model_validate(one, from_attributes=True) for one in numbers.missed
            ],
        )


class NewQuestionBody(BaseModel):
    """Without a knowledge base it is for free chat."""

    query: Query
    knowledge_base: BaseName | None = None
    answer: Answer | None = None
    enabled: bool = True

    def entity(self) -> NewQuestion:
        return NewQuestion(
            self.query.strip(), self.knowledge_base or None, self.answer or None, self.enabled
        )


class ChangeQuestion(BaseModel):
    """What is not there stays as it is; null takes the answer or the knowledge base away."""

    query: Query = "-"
    knowledge_base: BaseName | None = None
    answer: Answer | None = None
    enabled: bool = True

    def onto(self, known: Question) -> NewQuestion:
        given = {
            "query": known.query,
            "knowledge_base": known.kb_name,
            "answer": known.answer,
            "enabled": known.enable,
        } | self.model_dump(exclude_unset=True)
        return NewQuestionBody.model_construct(**given).entity()


class QuestionItem(BaseModel):
    id: int
    query: str
    knowledge_base: str | None
    answer: str | None
    tap_count: int
    enabled: bool
    owner_client: str
    create_time: UtcTime

    @classmethod
    def of(cls, question: Question) -> "QuestionItem":
        return cls(
            id=question.id,
            query=question.query,
            knowledge_base=question.kb_name,
            answer=question.answer,
            tap_count=question.tap_count,
            enabled=question.enable,
            owner_client=question.owner_client,
            create_time=question.create_time,
        )


class Questions(ListPage):
    items: list[QuestionItem]


class ImportedLine(BaseModel):
    line: int
    query: str
    result: Outcome
    reason: str

    @classmethod
    def of(cls, line: Line) -> "ImportedLine":
        return cls(line=line.number, query=line.query, result=line.outcome, reason=line.reason)


class Imported(BaseModel):
    added: int
    duplicates: int
    invalid: int
    lines: list[ImportedLine]

    @classmethod
    def of(cls, lines: list[Line]) -> "Imported":
        outcomes = [line.outcome for line in lines]
        return cls(
            added=outcomes.count("added"),
            duplicates=outcomes.count("duplicate"),
            invalid=outcomes.count("invalid"),
            lines=[ImportedLine.of(line) for line in lines],
        )


class SuggestedItem(BaseModel):
    query: str
    file_name: str
    title: str

    @classmethod
    def of(cls, suggestion: Suggestion) -> "SuggestedItem":
        return cls.model_validate(suggestion, from_attributes=True)


class Suggested(BaseModel):
    """Nothing of it is kept: what is accepted is added as any question."""

    items: list[SuggestedItem]
