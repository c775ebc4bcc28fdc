"""What crosses the wire."""

from typing import Literal

from pydantic import BaseModel, Field

Place = Literal["header", "bearer", "cookie", "url", "admin_cookie"]


class IntrospectionRequest(BaseModel):
    """A credential as it reached the gateway."""

    credential: str
    presented_as: Place
    address: str = ""
    want_session: bool = False


class Principal(BaseModel):
    """Who it is; the signed header says the same."""

    client_id: str
    user_id: str
    username: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    confined_to: tuple[str, ...] | None


class ActiveCredential(BaseModel):
    """A good credential. Times are Unix seconds; `expires_at` is the credential's own end.

    Unsafe requests of an operator's cookie have to repeat `csrf_token`. `limits`, `origins` and
    `embeddable` are the client's own.
    """

    active: Literal[True] = True
    caller: Principal
    jws: str
    jws_expires_at: int
    expires_at: float | None
    session_token: str | None
    session_expires_at: float | None
    csrf_token: str | None
    key_id: str | None
    limits: dict[str, str]
    origins: list[str]
    embeddable: bool


class InactiveCredential(BaseModel):
    """A bad one."""

    active: Literal[False] = False
    reason: Literal["invalid", "expired"]


class LimitedAddress(BaseModel):
    """An address that presented too many bad ones; this one was not looked at."""

    active: Literal[False] = False
    reason: Literal["limited"] = "limited"
    retry_after: int


class Origins(BaseModel):
    """Where pages of enabled clients are."""

    origins: list[str]


class ExchangeRequest(BaseModel):
    """A token that a host app made, v1 or v2."""

    token: str = Field(max_length=10_000)


class ExchangeAnswer(BaseModel):
    """The session that the token was exchanged for."""

    session_token: str
    expires_at: int
    client_id: str
    user_id: str
    username: str


class LoginRequest(BaseModel):
    """An operator's name and password."""

    username: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class LoginAnswer(BaseModel):
    """A console session; the cookie is beside it."""

    username: str
    csrf_token: str
    expires_at: int


class Me(BaseModel):
    """The operator; `csrf_token` belongs to the cookie and is null without one."""

    username: str
    scopes: tuple[str, ...]
    csrf_token: str | None


class UserInfo(BaseModel):
    """The caller as a user."""

    client_id: str
    user_id: str
    username: str
    enable: bool
    create_time: str


class UserInfoAnswer(BaseModel):
    """The envelope of the old wire."""

    code: int = 200
    msg: str = "success"
    data: UserInfo
