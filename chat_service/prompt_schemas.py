"""Bodies of `/admin/prompts`."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chat_service.prompt_entities import Source


class PromptItem(BaseModel):
    """`version` is 0 when the text is not an operator's."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    name: str
    source: Source
    version: int
    text: str


class PromptItems(BaseModel):
    items: list[PromptItem]
    total: int
    page: int
    page_size: int


class PromptVersionItem(BaseModel):
    """An empty text: from then on what was there before operators was used."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    text: str
    author: str
    create_time: datetime


class PromptVersionItems(BaseModel):
    items: list[PromptVersionItem]
    total: int
    page: int
    page_size: int


class NewPrompt(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class PromptToRestore(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
