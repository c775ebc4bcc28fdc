"""Bodies of `/admin/word-lists` and `/admin/word-hits`."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from chat_service.word_entities import Action, AppliesTo, WordList

MOST_WORDS = 50_000
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
Word = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=64, strip_whitespace=True, pattern=r"^[^\x00-\x1f]+$"
    ),
]

Replacement = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class NewWordList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    action: Action
    applies_to: AppliesTo = "both"
    replacement: Replacement = ""
    enabled: bool = True
    words: Annotated[list[Word], Field(max_length=MOST_WORDS)] = []

    def entity(self) -> WordList:
        values = self.model_dump(exclude={"words"})
        return WordList(**values, words=tuple(dict.fromkeys(self.words)))


class WordListChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    action: Action | None = None
    applies_to: AppliesTo | None = None
    replacement: Replacement | None = None
    enabled: bool | None = None
    words: Annotated[list[Word], Field(max_length=MOST_WORDS)] | None = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("null is no value 值不能为 null")
        return self


class WordsText(BaseModel):
    """One word a line; empty lines and lines that start with `#` are left out."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=4_000_000)]


class WordListItem(BaseModel):
    id: int
    name: str
    action: Action
    applies_to: AppliesTo
    replacement: str
    enabled: bool
    word_count: int

    @classmethod
    def of(cls, one: WordList) -> Self:
        return cls(
            id=one.id,
            name=one.name,
            action=one.action,
            applies_to=one.applies_to,
            replacement=one.replacement,
            enabled=one.enabled,
            word_count=len(one.words),
        )


class WordListItems(BaseModel):
    items: list[WordListItem]
    total: int
    page: int
    page_size: int


class WordListWords(BaseModel):
    items: list[str]
    total: int
    page: int
    page_size: int


class HitItem(BaseModel):
    """Without the text that was asked or said."""

    model_config = ConfigDict(from_attributes=True)

    create_time: datetime
    list_name: str
    action: str
    found_in: str
    mode: str
    client_id: str
    user_id: str
    hits: int


class HitItems(BaseModel):
    items: list[HitItem]
    total: int
    page: int
    page_size: int
