"""What is on the wire."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticKnownError

Data = TypeVar("Data")


def _storable(value: Any) -> Any:
    # The H5 cuts names in the middle of an emoji, which leaves half of a surrogate pair: no
    # encoding can hold that, and no PostgreSQL text a NUL.
    if isinstance(value, bytes):  # a bare body that is not JSON
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return value
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return whole.replace("\x00", "")


def _wire_time(value: datetime) -> str:
    """The server's local time to the second, without a zone: the H5 shows it as it comes."""
    return value.astimezone().strftime("%Y-%m-%dT%H:%M:%S")


# Bounds come before this in a type: outside of it they would speak of items, not of characters.
_STORABLE = BeforeValidator(_storable)
StoredText = Annotated[str, _STORABLE]
ShortText = Annotated[str, StringConstraints(max_length=100), _STORABLE]
SessionId = Annotated[str, StringConstraints(min_length=32, max_length=32), _STORABLE]
# Front ends make these, and they become part of a path.
TurnId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{0,32}$")]
WireTime = Annotated[datetime, PlainSerializer(_wire_time, return_type=str)]
# SQLite gives times back without their zone, which is UTC.
UtcTime = Annotated[datetime, AfterValidator(lambda time: time.replace(tzinfo=UTC))]


class Envelope(BaseModel, Generic[Data]):
    """Every answer of the old wire."""

    code: int = 200
    msg: str = "success"
    data: Data


class SessionParam(BaseModel):
    """How a session is answered; the client keeps it here and reads it back."""

    model_name: ShortText = "zhipu-api"
    query: Annotated[str, StringConstraints(max_length=4096), _STORABLE] | None = ""
    stream: bool | None = True
    temperature: FiniteFloat | None = 0.7
    max_tokens: int | None = 2000
    prompt_name: ShortText | None = "default"
    history_count: int | None = 5
    knowledge_base_name: ShortText | None = ""
    top_k: int | None = 3
    score_threshold: int | FiniteFloat | None = 1
    split_result: bool | None = False

    def as_text(self) -> str:
        """The published H5 parses a string that holds JSON."""
        return json.dumps(self.model_dump())


class SessionSave(BaseModel):
    """Body of /session/save."""

    session_id: SessionId
    session_name: StoredText = Field(description="At most 20 characters, or the session id")
    mode: Annotated[str, StringConstraints(max_length=20), _STORABLE]
    param: SessionParam = SessionParam()

    @field_validator("session_name")
    @classmethod
    def _fits(cls, name: str, info: ValidationInfo) -> str:
        if len(name) > 20 and name != info.data.get("session_id"):
            raise PydanticKnownError("string_too_long", {"max_length": 20})
        return name


class SessionItem(BaseModel):
    """One of /session/list."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str
    session_name: str
    mode: str
    param: str
    create_time: WireTime


class HistoryRequest(BaseModel):
    """Body of /history/latest."""

    session_id: StoredText
    chat_id: StoredText | None = Field(None, description="Only turns older than this one")
    num: int = Field(ge=0, description="At most 100 are answered")


class HistoryItem(BaseModel):
    """One of /history/latest."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    query: str
    response: str
    docs: list[str]
    create_time: WireTime


class Feedback(BaseModel):
    """Body of /chat/feedback."""

    chat_history_id: Annotated[str, StringConstraints(max_length=32), _STORABLE] = ""
    score: int = Field(0, ge=0, le=100)
    reason: Annotated[str, StringConstraints(max_length=4096), _STORABLE] = ""


class TurnBegin(BaseModel):
    """Body of begin-turn."""

    session_id: SessionId | None = None
    turn_id: TurnId | None = None
    chat_type: Literal["llm_chat", "knowledge_base_chat"]
    query: StoredText
    knowledge_base: Annotated[str, StringConstraints(max_length=255), _STORABLE] | None = None


class TurnBegun(BaseModel):
    """Answer of begin-turn."""

    turn_id: str
    capability: str


class TurnFinish(BaseModel):
    """Body of finish-turn."""

    response: StoredText
    docs: list[StoredText]
    state: Literal["done", "failed", "interrupted"]


class RecentTurn(BaseModel):
    """One of a session's recent turns."""

    model_config = ConfigDict(from_attributes=True)

    turn_id: str = Field(validation_alias="id")
    query: str
    response: str
    docs: list[str]
    state: str
    create_time: WireTime


class RatedTurn(BaseModel):
    """An answer that its user rated, from 0 to 100; `knowledge_base` where it was asked about one.

    `feedback_time` is when it was rated, `create_time` when it was asked.
    """

    model_config = ConfigDict(from_attributes=True)

    turn_id: str = Field(validation_alias="id")
    client_id: str
    knowledge_base: str | None
    question: str = Field(validation_alias="query")
    answer: str = Field(validation_alias="response")
    docs: list[str]
    score: int
    reason: str
    feedback_time: UtcTime = Field(validation_alias="time")
    create_time: UtcTime


class RatedTurns(BaseModel):
    """One page."""

    items: list[RatedTurn]
    total: int
    page: int
    page_size: int
