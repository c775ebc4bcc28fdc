"""Who is behind a credential: a client's user, a session's user or the owner of an API key."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from auth_service.errors import CredentialRefused
from auth_service.schemas import Place
from auth_service.sessions import SESSION_PREFIX, Sessions, SessionToken
from auth_service.store.credentials import Store, StoredUser
from auth_service.tokens import Claims, SealedToken, TokenOpener, parse_token, read_claims
from servicekit.errors import Unauthorized
from servicekit.identity import Caller

OPERATOR = "admin"
USER_SCOPES = ("chat", "kb:read")
OPERATOR_SCOPES = ("chat", "kb:read", "kb:write", "admin")
_SESSION_PLACES = ("header", "cookie", "url")
_TOKEN_PLACES = ("header", "url")
_KEY_PLACES = ("header", "bearer")
_MAX_LENGTH = 1000
_TOUCH_SECONDS = 60
_SHOWN_PREFIX = 10


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal, the end of its credential, and the browser session when one was wanted."""

    caller: Caller
    expires_at: float | None
    session: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a principal is told about itself."""

    username: str
    enable: bool
    create_time: datetime


class Accounts:
    """Knows every kind of credential."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        opener: TokenOpener,
        *,
        token_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._sessions, self._opener = store, sessions, opener
        self._token_seconds, self._clock = token_seconds, clock

    async def identify(
        self, credential: str, place: Place, *, want_session: bool = False
    ) -> Identity:
        """Who presents this credential there. Raises CredentialRefused."""
        if not credential.isascii() or not 0 < len(credential) <= _MAX_LENGTH:
            raise CredentialRefused
        if credential.startswith(SESSION_PREFIX) and place in _SESSION_PLACES:
            return await self._session_user(credential, want_session=want_session)
        token = parse_token(credential)
        if token and place in _TOKEN_PLACES:
            return await self._host_user(credential, token, want_session=want_session)
        if token is None and place in _KEY_PLACES:
            return await self._key_owner(credential)
        raise CredentialRefused

    async def profile(self, caller: Caller) -> Profile:
        """The caller's row; the owner of an API key need not have one. Raises Unauthorized."""
        client_id = None if caller.client_id == OPERATOR else int(caller.client_id)
        user = None if client_id is None else await self._store.user(client_id, caller.user_id)
        if user:
            return Profile(user.username, user.enable, user.create_time)
        key = await self._store.key_of(client_id, caller.user_id)
        if key:
            return Profile(key.name, key.enable, key.create_time)
        raise Unauthorized("Authentication required: Api-Token无效!")

    async def _session_user(self, token: str, *, want_session: bool) -> Identity:
        found = await self._sessions.find(token)
        caller = Caller(str(found.client_id), found.user_id, found.username, USER_SCOPES)
        session = SessionToken(token, found.expires_at) if want_session else None
        return Identity(caller, found.expires_at, session)

    async def _host_user(
        self, credential: str, token: SealedToken, *, want_session: bool
    ) -> Identity:
        client = await self._store.client(token.client_id)
        sealed_key = client.private_key if client and client.enable else None
        plain = await self._opener.open(token, sealed_key)
        now = self._clock()
        claims = read_claims(plain, client_id=token.client_id, now=now)
        expires_at = claims.issued_at + self._token_seconds
        if expires_at < now:
            raise CredentialRefused("expired")
        user = await self._vouched_user(token.client_id, claims)
        caller = Caller(str(user.client_id), user.user_id, user.username, USER_SCOPES)
        session = None
        if want_session:
            session = await self._sessions.open_for(credential, user.client_id, user.user_id)
        return Identity(caller, expires_at, session)

    async def _vouched_user(self, client_id: int, claims: Claims) -> StoredUser:
        user = await self._store.user(client_id, claims.user_id)
        if user and (not user.enable or claims.issued_at < (user.tokens_not_before or 0)):
            raise CredentialRefused
        if user is None or user.username != claims.username:
            return await self._store.save_user(client_id, claims.user_id, username=claims.username)
        return user

    async def _key_owner(self, text: str) -> Identity:
        key = await self._store.key(hash_key(text))
        if key is None or not key.enable:
            raise CredentialRefused
        now = self._clock()
        if key.expires_at is not None and key.expires_at <= now:
            raise CredentialRefused("expired")
        if key.last_used_at is None or key.last_used_at < now - _TOUCH_SECONDS:
            await self._store.touch_key(key.id, now=now)
        client_id = OPERATOR if key.client_id is None else str(key.client_id)
        caller = Caller(client_id, key.user_id, key.name, tuple(key.scopes.split()))
        return Identity(caller, key.expires_at)


async def put_operator_key(store: Store, key: str) -> None:
    """Make this the first operator's key; the one it had before is gone."""
    await store.put_operator_key(
        OPERATOR,
        key_hash=hash_key(key),
        prefix=key[:_SHOWN_PREFIX],
        scopes=" ".join(OPERATOR_SCOPES),
    )


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
