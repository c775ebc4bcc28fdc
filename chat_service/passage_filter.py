"""Which passages of a knowledge base may answer a question."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("不能包含控制字符。It must not hold control characters.")
    return text


class PassageFilter(BaseModel):
    """Which passages may answer: of any of the files, with any of the tags, within the bounds.

    As searches of kb_service take it, which is asked when the answer has begun.
    """

    model_config = ConfigDict(extra="forbid")

    files: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=100)] = []
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_printable)]],
        Field(max_length=100),
    ] = []
    uploaded_after: datetime | None = None
    uploaded_before: datetime | None = None
    page_from: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    page_to: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)
