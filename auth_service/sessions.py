"""Session tokens: opaque, revocable, eight hours; only their hashes are kept."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from auth_service.errors import CredentialRefused
from auth_service.store.credentials import Store
from auth_service.store.records import NewSession, StoredSession

SESSION_PREFIX = "c2s-"
SESSION_SECONDS = 8 * 3600


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What a browser holds, and until when it is good."""

    token: str
    expires_at: float


class Sessions:
    """Opens sessions and finds the live ones."""

    def __init__(self, store: Store, derive_key: bytes, clock: Callable[[], float]) -> None:
        self._store, self._derive_key, self._clock = store, derive_key, clock

    async def open(self, client_id: int, user_id: str, *, method: str) -> SessionToken:
        """A new session, for a login without a v1 token."""
        token, new = self.new(client_id, user_id, method=method)
        await self._store.open_session(new)
        return token

    async def open_for(self, credential: str, client_id: int, user_id: str) -> SessionToken | None:
        """The one session of a v1 token, however often it is asked for; None when revoked."""
        token = self.derived(credential)
        found = await self._store.session(_hash(token))
        if found is None or found.expires_at <= self._clock():
            found = await self._store.open_session(self._begun(token, client_id, user_id, "v1")[1])
        return None if found.revoked else SessionToken(token, found.expires_at)

    def derived(self, credential: str) -> str:
        """The session token that belongs to a v1 token."""
        return _text(hmac.digest(self._derive_key, credential.encode(), "sha256"))

    async def find(self, token: str) -> StoredSession:
        """The live session of this token. Raises CredentialRefused."""
        found = await self._store.session(_hash(token))
        if found is None:
            raise CredentialRefused
        begun_after = max(found.user_not_before or 0, found.client_not_before or 0)
        if found.revoked or found.created_at < begun_after:
            raise CredentialRefused(cause="revoked")
        if not found.enable:
            raise CredentialRefused(cause="disabled")
        if found.expires_at <= self._clock():
            raise CredentialRefused("expired")
        return found

    async def revoke(self, token: str) -> None:
        await self._store.revoke_session(_hash(token))

    def new(self, client_id: int, user_id: str, *, method: str) -> tuple[SessionToken, NewSession]:
        """A session that begins now, for whoever writes it with something else."""
        return self._begun(_text(secrets.token_bytes(32)), client_id, user_id, method)

    def _begun(
        self, token: str, client_id: int, user_id: str, method: str
    ) -> tuple[SessionToken, NewSession]:
        now = self._clock()
        ends = now + SESSION_SECONDS
        return SessionToken(token, ends), NewSession(
            _hash(token), client_id, user_id, now, ends, method
        )


def _text(secret: bytes) -> str:
    return SESSION_PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
