"""Rows of auth.db, as credentials need them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """What a client and its users may; `knowledge_bases` confines them, None does not."""

    limits: dict[str, str]
    origins: list[str]
    embeddable: bool
    knowledge_bases: list[str] | None


OPERATORS_TERMS = ClientTerms({}, [], embeddable=False, knowledge_bases=None)


@dataclass(frozen=True, slots=True)
class StoredClient:
    """A row of client; its private key is sealed."""

    id: int
    name: str
    kind: str
    description: str
    private_key: bytes | None
    enable: bool
    create_time: datetime
    allowed_origins: list[str]
    embeddable: bool
    limits: dict[str, str]
    knowledge_bases: list[str] | None
    tokens_not_before: float | None

    @property
    def terms(self) -> ClientTerms:
        return ClientTerms(self.limits, self.allowed_origins, self.embeddable, self.knowledge_bases)


@dataclass(frozen=True, slots=True)
class StoredClientKey:
    """A public key that verifies v2 tokens."""

    kid: str
    algorithm: str
    public_key: str


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A row of user."""

    client_id: int
    user_id: str
    username: str
    enable: bool
    tokens_not_before: float | None
    create_time: datetime
    groups: list[str]
    deleted: bool


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A browser session, its user and client; `enable` is false when one of them is disabled."""

    client_id: int
    user_id: str
    created_at: float
    expires_at: float
    revoked: bool
    username: str
    groups: list[str]
    enable: bool
    user_not_before: float | None
    client_not_before: float | None
    terms: ClientTerms


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be opened; `method` is how it began."""

    token_hash: str
    client_id: int
    user_id: str
    created_at: float
    expires_at: float
    method: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key; `enable` is false when the key, its client or its user is disabled."""

    id: int
    client_id: int | None
    user_id: str
    name: str
    scopes: str
    expires_at: float | None
    last_used_at: float | None
    create_time: datetime
    knowledge_bases: list[str] | None
    enable: bool
    terms: ClientTerms
