"""The tables of auth.db. `create_time` is UTC without a zone, other times are Unix seconds."""

from pydantic import NaiveDatetime
from sqlalchemy import Double, ForeignKeyConstraint, Text
from sqlmodel import Field, SQLModel


class Client(SQLModel, table=True):
    """A host app. Client 0 is the demo, 1 is WeCom; keys are made when they are needed."""

    __tablename__ = "client"

    id: int | None = Field(None, primary_key=True)
    name: str = Field(max_length=50)
    kind: str = Field(max_length=20)
    description: str = Field("", max_length=200)
    public_key: str | None = Field(None, sa_type=Text)
    private_key: bytes | None = None  # sealed
    enable: bool = True
    create_time: NaiveDatetime


class User(SQLModel, table=True):
    """A user that a client vouched for. v1 tokens older than `tokens_not_before` are refused."""

    __tablename__ = "user"

    client_id: int = Field(primary_key=True, foreign_key="client.id")
    user_id: str = Field(primary_key=True, max_length=64)
    username: str = Field(max_length=50)
    enable: bool = True
    tokens_not_before: float | None = Field(None, sa_type=Double)
    create_time: NaiveDatetime


class ApiKey(SQLModel, table=True):
    """A key of a program; without a client it is an operator's. `scopes` are joined by spaces."""

    __tablename__ = "api_key"

    id: int | None = Field(None, primary_key=True)
    prefix: str = Field(max_length=16)
    key_hash: str = Field(max_length=64, unique=True)
    name: str = Field(max_length=50)
    client_id: int | None = Field(None, foreign_key="client.id")
    user_id: str = Field(max_length=64)
    scopes: str = Field(max_length=200)
    expires_at: float | None = Field(None, sa_type=Double)
    enable: bool = True
    last_used_at: float | None = Field(None, sa_type=Double)
    create_time: NaiveDatetime


class BrowserSession(SQLModel, table=True):
    """A session token at rest: its hash, whose it is and how long it lives."""

    __tablename__ = "browser_session"
    __table_args__ = (
        ForeignKeyConstraint(["client_id", "user_id"], ["user.client_id", "user.user_id"]),
    )

    token_hash: str = Field(primary_key=True, max_length=64)
    client_id: int
    user_id: str = Field(max_length=64)
    created_at: float = Field(sa_type=Double)
    expires_at: float = Field(sa_type=Double, index=True)
    revoked: bool = False


CLIENTS = SQLModel.metadata.tables["client"]
USERS = SQLModel.metadata.tables["user"]
API_KEYS = SQLModel.metadata.tables["api_key"]
SESSIONS = SQLModel.metadata.tables["browser_session"]
