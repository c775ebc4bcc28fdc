"""Tables of chat.db."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, DateTime, Double, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class OutboxRow(SQLModel, table=True):
    """An answer that session_service does not have yet: a checkpoint, or one to deliver later.

    `due_at` is when somebody may deliver it: a live stream keeps pushing its own into the future.
    """

    __tablename__ = "outbox"

    id: str = Field(primary_key=True, max_length=32)
    turn_id: str = Field(max_length=32)
    capability: str = Field(sa_type=Text)
    response: str = Field(sa_type=Text)
    docs: str = Field(sa_type=Text)
    state: str = Field(max_length=16)
    attempts: int = 0
    due_at: float = Field(index=True)


class ModelRow(SQLModel, table=True):
    """A model that an operator added, or how one of config.ini is operated (then `model` is null).

    The key is sealed. Prices are per million tokens.
    """

    __tablename__ = "model"

    name: str = Field(primary_key=True, max_length=64)
    preset: str = Field(max_length=32)
    base_url: str | None = Field(None, sa_type=Text)
    model: str | None = Field(None, sa_type=Text)
    sealed_key: bytes | None = None
    context_tokens: int | None = None
    input_price: float | None = Field(None, sa_type=Double)
    output_price: float | None = Field(None, sa_type=Double)
    currency: str = Field(max_length=3)
    enabled: bool
    fallbacks: list[str] = Field(sa_type=JSON)
    max_concurrency: int
    temperature_min: float | None = Field(None, sa_type=Double)
    temperature_max: float | None = Field(None, sa_type=Double)
    max_output_tokens: int | None = None


class ModelRevision(SQLModel, table=True):
    """One row: how often the models were changed, and which one an operator made the default."""

    __tablename__ = "model_revision"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int
    default_model: str = Field(max_length=64)


class UsageRow(SQLModel, table=True):
    """One call of a model; the cost is of the prices that held then."""

    __tablename__ = "usage"
    # With the tokens: a client's quota sums up its day before each answer.
    __table_args__ = (
        Index("ix_usage_day", "day", "client_id", "user_id", "prompt_tokens", "completion_tokens"),
    )

    id: int | None = Field(default=None, primary_key=True)
    create_time: datetime = Field(sa_type=DateTime(timezone=True))
    day: str = Field(max_length=10)
    model: str = Field(max_length=64)
    mode: str = Field(max_length=40)
    client_id: str = Field(max_length=64)
    user_id: str = Field(sa_type=Text)
    knowledge_base: str = Field(sa_type=Text)
    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool
    cost: float = Field(sa_type=Double)
    currency: str = Field(max_length=3)


class QuotaRow(SQLModel, table=True):
    """Daily tokens of a client, of one of its users, or of each (then `user_id` is empty)."""

    __tablename__ = "quota"
    __table_args__ = (UniqueConstraint("client_id", "per", "user_id"),)

    id: int | None = Field(default=None, primary_key=True)
    client_id: str = Field(max_length=64)
    per: str = Field(max_length=10)
    user_id: str = Field(max_length=255)
    daily_tokens: int = Field(sa_type=BigInteger)


class PromptRow(SQLModel, table=True):
    """One version of a prompt template; an empty text is what was there before operators."""

    __tablename__ = "prompt"
    __table_args__ = (UniqueConstraint("kind", "name", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=32)
    name: str = Field(max_length=64)
    version: int
    text: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    create_time: datetime = Field(sa_type=DateTime(timezone=True))


class WordListRow(SQLModel, table=True):
    """Words of an operator, and what is done where they occur."""

    __tablename__ = "word_list"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=64, unique=True)
    action: str = Field(max_length=16)
    replacement: str = Field(max_length=200)
    applies_to: str = Field(max_length=16)
    enabled: bool
    words: list[str] = Field(sa_type=JSON)


class WordListRevision(SQLModel, table=True):
    """One row: how often word lists were changed."""

    __tablename__ = "word_list_revision"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int


class WordHitRow(SQLModel, table=True):
    """That words of a list occurred in a question or an answer, without its text."""

    __tablename__ = "word_hit"

    id: int | None = Field(default=None, primary_key=True)
    create_time: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    list_name: str = Field(max_length=64)
    action: str = Field(max_length=16)
    found_in: str = Field(max_length=16)
    mode: str = Field(max_length=40)
    client_id: str = Field(max_length=64)
    user_id: str = Field(sa_type=Text)
    hits: int


OUTBOX = SQLModel.metadata.tables["outbox"]
MODEL = SQLModel.metadata.tables["model"]
MODEL_REVISION = SQLModel.metadata.tables["model_revision"]
USAGE = SQLModel.metadata.tables["usage"]
QUOTA = SQLModel.metadata.tables["quota"]
PROMPT = SQLModel.metadata.tables["prompt"]
WORD_LIST = SQLModel.metadata.tables["word_list"]
WORD_LIST_REVISION = SQLModel.metadata.tables["word_list_revision"]
WORD_HIT = SQLModel.metadata.tables["word_hit"]
