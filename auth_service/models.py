"""The tables of auth.db. `create_time` is UTC without a zone, other times are Unix seconds."""

from datetime import UTC, datetime

from pydantic import NaiveDatetime
from sqlalchemy import JSON, Double, ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel


class Client(SQLModel, table=True):
    """A host app. Client 0 is the demo, 1 is WeCom; keys are made when they are needed.

    `limits` maps a kind of use to a rate. `knowledge_bases` confines all its users; None does not.
    """

    __tablename__ = "client"

    id: int | None = Field(None, primary_key=True)
    name: str = Field(max_length=50)
    kind: str = Field(max_length=20)
    description: str = Field("", max_length=200)
    private_key: bytes | None = None  # sealed; its "public" half is the host app's secret
    enable: bool = True
    create_time: NaiveDatetime
    allowed_origins: list[str] = Field([], sa_type=JSON)
    embeddable: bool = False
    limits: dict[str, str] = Field({}, sa_type=JSON)
    knowledge_bases: list[str] | None = Field(None, sa_type=JSON(none_as_null=True))
    tokens_not_before: float | None = Field(None, sa_type=Double)


class ClientKey(SQLModel, table=True):
    """A public key that a host app registered: it signs v2 tokens with the private half."""

    __tablename__ = "client_key"

    client_id: int = Field(primary_key=True, foreign_key="client.id")
    kid: str = Field(primary_key=True, max_length=64)
    algorithm: str = Field(max_length=8)
    public_key: str = Field(sa_type=Text)
    create_time: NaiveDatetime


class User(SQLModel, table=True):
    """A user that a client vouched for. Tokens older than `tokens_not_before` are refused.

    `groups` are what the last v2 token said. A deleted one leaves its row, without a name, so that
    an older token cannot bring it back.
    """

    __tablename__ = "user"

    client_id: int = Field(primary_key=True, foreign_key="client.id")
    user_id: str = Field(primary_key=True, max_length=64)
    username: str = Field(max_length=50)
    enable: bool = True
    tokens_not_before: float | None = Field(None, sa_type=Double)
    create_time: NaiveDatetime
    groups: list[str] = Field([], sa_type=JSON)
    deleted: bool = False


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
    knowledge_bases: list[str] | None = Field(None, sa_type=JSON(none_as_null=True))


class BrowserSession(SQLModel, table=True):
    """A session token at rest: its hash, whose it is, how it began and how long it lives."""

    __tablename__ = "browser_session"
    __table_args__ = (
        ForeignKeyConstraint(["client_id", "user_id"], ["user.client_id", "user.user_id"]),
        Index("ix_browser_session_owner", "client_id", "user_id"),
    )

    token_hash: str = Field(primary_key=True, max_length=64)
    client_id: int
    user_id: str = Field(max_length=64)
    created_at: float = Field(sa_type=Double)
    expires_at: float = Field(sa_type=Double, index=True)
    revoked: bool = False
    method: str = Field("v1", max_length=10)


class Admin(SQLModel, table=True):
    """An operator who logs in with a password (argon2). Failed tries lock the login for a while.

    `failures` are the tries since `failing_since` that no success followed.
    """

    __tablename__ = "admin"

    username: str = Field(primary_key=True, max_length=50)
    password_hash: str = Field(max_length=200)
    enable: bool = True
    failures: int = 0
    failing_since: float | None = Field(None, sa_type=Double)
    locked_until: float | None = Field(None, sa_type=Double)
    create_time: NaiveDatetime


class AdminSession(SQLModel, table=True):
    """A console login at rest."""

    __tablename__ = "admin_session"

    token_hash: str = Field(primary_key=True, max_length=64)
    username: str = Field(max_length=50, foreign_key="admin.username")
    created_at: float = Field(sa_type=Double)
    expires_at: float = Field(sa_type=Double, index=True)


class TokenReplay(SQLModel, table=True):
    """A v2 token that was exchanged; kept until it would have expired anyway."""

    __tablename__ = "token_replay"

    client_id: int = Field(primary_key=True)
    jti_hash: str = Field(primary_key=True, max_length=64)
    expires_at: float = Field(sa_type=Double, index=True)


class SsoState(SQLModel, table=True):
    """A login at a provider that came back: its state is good once."""

    __tablename__ = "sso_state"

    nonce: str = Field(primary_key=True, max_length=64)
    expires_at: float = Field(sa_type=Double, index=True)


class AuditEntry(SQLModel, table=True):
    """Who did what to whom, from where; `count` joins equal refusals of one minute."""

    __tablename__ = "audit_log"

    id: int | None = Field(None, primary_key=True)
    at: float = Field(sa_type=Double, index=True)
    actor: str = Field(max_length=120)
    action: str = Field(max_length=50, index=True)
    target: str = Field(max_length=120)
    outcome: str = Field(max_length=20)
    address: str = Field(max_length=50)
    request_id: str = Field(max_length=64)
    count: int = 1
    detail: dict[str, str] = Field({}, sa_type=JSON)


CLIENTS = SQLModel.metadata.tables["client"]
USERS = SQLModel.metadata.tables["user"]
API_KEYS = SQLModel.metadata.tables["api_key"]
SESSIONS = SQLModel.metadata.tables["browser_session"]
CLIENT_KEYS = SQLModel.metadata.tables["client_key"]
ADMINS = SQLModel.metadata.tables["admin"]
ADMIN_SESSIONS = SQLModel.metadata.tables["admin_session"]
REPLAYS = SQLModel.metadata.tables["token_replay"]
SSO_STATES = SQLModel.metadata.tables["sso_state"]
AUDIT = SQLModel.metadata.tables["audit_log"]


def utc_now() -> datetime:
    """A `create_time`."""
    return datetime.now(UTC).replace(tzinfo=None)
