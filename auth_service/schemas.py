"""What crosses the wire."""

from typing import Literal

from pydantic import BaseModel

Place = Literal["header", "bearer", "cookie", "url"]


class IntrospectionRequest(BaseModel):
    """A credential as it reached the gateway."""

    credential: str
    presented_as: Place
    want_session: bool = False


class Principal(BaseModel):
    """Who it is; the signed header says the same."""

    client_id: str
    user_id: str
    username: str
    scopes: tuple[str, ...]


class ActiveCredential(BaseModel):
    """A good credential. Times are Unix seconds; `expires_at` is the credential's own end."""

    active: Literal[True] = True
    caller: Principal
    jws: str
    jws_expires_at: int
    expires_at: float | None
    session_token: str | None
    session_expires_at: float | None


class InactiveCredential(BaseModel):
    """A bad one."""

    active: Literal[False] = False
    reason: Literal["invalid", "expired"]


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
