"""The two tables of session.db. Times are UTC, with microseconds."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class TurnState(StrEnum):
    """How far a turn has come; only `asking` waits for more."""

    ASKING = "asking"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class ChatSession(SQLModel, table=True):
    """A session id and its owner. Until it is `saved`, its first question has only claimed it."""

    __tablename__ = "chat_session"
    __table_args__ = (Index("ix_chat_session_owner", "client_id", "user_id", "create_time"),)

    id: str = Field(primary_key=True, max_length=32)
    client_id: str = Field(max_length=32)
    user_id: str = Field(max_length=64)
    saved: bool
    mode: str = Field(max_length=20)
    session_name: str = Field(max_length=20)
    param: str = Field(sa_type=Text)
    create_time: datetime


class ChatHistory(SQLModel, table=True):
    """A turn: one question and its answer. `seq` orders turns that share a microsecond."""

    __tablename__ = "chat_history"
    __table_args__ = (
        Index("ix_chat_history_session", "session_id", "seq"),
        # Of the few that were rated, so that the others need not pay for it.
        Index(
            "ix_chat_history_feedback",
            "feedback_time",
            sqlite_where=text("feedback_time IS NOT NULL"),
            postgresql_where=text("feedback_time IS NOT NULL"),
        ),
    )

    # SQLite counts by itself only in an INTEGER primary key.
    seq: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    id: str = Field(unique=True, max_length=32)
    session_id: str | None = Field(max_length=32)
    client_id: str = Field(max_length=32)
    user_id: str = Field(max_length=64)
    chat_type: str = Field(max_length=50)
    query: str = Field(sa_type=Text)
    response: str = Field(sa_type=Text)
    docs: list[str] = Field(sa_type=JSON)
    state: str = Field(max_length=16)
    capability_hash: str = Field(max_length=64)
    begun_time: datetime
    feedback_score: int
    feedback_reason: str = Field(sa_type=Text)
    feedback_time: datetime | None
    knowledge_base: str | None = Field(max_length=255)
    create_time: datetime


SESSIONS = SQLModel.metadata.tables["chat_session"]
TURNS = SQLModel.metadata.tables["chat_history"]
