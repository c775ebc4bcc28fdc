"""Operators who log in to the console: name and password, a session, a CSRF token, a lock."""

import base64
import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from auth_service.attempts import FailedAttempts, RedisLimiter
from auth_service.errors import CredentialRefused, InvalidLogin, TooManyFailures
from auth_service.passwords import MAX_PASSWORD_LENGTH, Passwords
from auth_service.principals import OPERATOR, OPERATOR_SCOPES, Identity
from auth_service.store.admins import AdminSession, AdminStore, Lock, StoredAdmin
from auth_service.store.records import OPERATORS_TERMS
from auth_service.watch import Attempt, Watch
from servicekit.identity import Caller

ADMIN_PREFIX = "c2a-"
SESSION_SECONDS = 8 * 3600
LOCK = Lock(failures=10, seconds=900)
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,50}")


@dataclass(frozen=True, slots=True)
class ConsoleLogin:
    """What a browser gets: the cookie's value, and what its unsafe requests have to repeat."""

    username: str
    token: str
    csrf_token: str
    expires_at: float


class Strangers:
    """Names without an account are locked like those with one: they are not to be found out."""

    def __init__(self, clock: Callable[[], float], redis: RedisLimiter | None) -> None:
        self._failures, self._lock = (
            FailedAttempts(
                f"{times} per {LOCK.seconds} seconds", clock, redis=redis, kind=kind, group=_hash
            )
            for times, kind in ((LOCK.failures, "name"), (1, "locked name"))
        )

    async def count_try(self, name: str) -> None:
        """Raises TooManyFailures."""
        await self._lock.check(name)
        await self._failures.record(name)
        try:
            await self._failures.check(name)
        except TooManyFailures:
            await self._lock.record(name)


class Admins:
    """Logs operators in and finds their sessions."""

    def __init__(
        self,
        store: AdminStore,
        strangers: Strangers,
        passwords: Passwords,
        watch: Watch,
        *,
        csrf_key: bytes,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._strangers, self._passwords = store, strangers, passwords
        self._watch, self._csrf_key, self._clock = watch, csrf_key, clock

    async def log_in(self, username: str, password: str, *, address: str) -> ConsoleLogin:
        """Raises InvalidLogin, or TooManyFailures for the address or the name."""
        attempt = Attempt(address, "admin.login", "")
        await self._watch.check(attempt)
        if not _NAME.fullmatch(username) or len(password) > MAX_PASSWORD_LENGTH:
            await self._watch.failed(attempt, "invalid")
            raise InvalidLogin
        try:
            opened = await self._open(username, await self._verified(username, password))
        except (InvalidLogin, TooManyFailures) as error:
            if await self._store.admin(username):  # else it may be a password, in the wrong field
                attempt = replace(attempt, target=f"admin {username}")
            await self._watch.failed(attempt, "locked" if error.retry_after else "invalid")
            raise
        await self._watch.audit.record(
            actor=f"{OPERATOR}/{username}",
            action=attempt.action,
            target=f"admin {username}",
            address=address,
        )
        return opened

    async def log_out(self, token: str) -> None:
        await self._store.delete_session(_hash(token))

    async def identify(self, token: str) -> Identity:
        """The operator of a session. Raises CredentialRefused."""
        found = await self._store.session(_hash(token))
        if found is None:
            raise CredentialRefused
        username, expires_at = found
        if expires_at <= self._clock():
            raise CredentialRefused("expired")
        caller = Caller(OPERATOR, username, username, OPERATOR_SCOPES)
        return Identity(caller, expires_at, OPERATORS_TERMS, csrf_token=self.csrf_token(token))

    async def find(self, username: str) -> StoredAdmin | None:
        return await self._store.admin(username)

    def csrf_token(self, token: str) -> str:
        return hmac.new(self._csrf_key, token.encode(), "sha256").hexdigest()

    async def _verified(self, username: str, password: str) -> str:
        """The hash of the right password. Raises InvalidLogin, TooManyFailures."""
        known = await self._store.count_try(username, now=self._clock())
        if known is None:
            admin = await self._store.admin(username)
            if admin:
                left = (admin.locked_until or 0) - self._clock()
                raise TooManyFailures(retry_after=max(1, math.ceil(left)))
            await self._strangers.count_try(username)
        password_hash, enable = known or (None, False)
        verified = await self._passwords.verify(password, password_hash)
        if password_hash is None or not verified or not enable:
            raise InvalidLogin
        return password_hash

    async def _open(self, username: str, password_hash: str) -> ConsoleLogin:
        """Raises InvalidLogin when the password was changed meanwhile."""
        token = ADMIN_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip(
            "="
        )
        now = self._clock()
        expires_at = now + SESSION_SECONDS
        session = AdminSession(_hash(token), username, now, expires_at)
        if not await self._store.open_session(session, password_hash=password_hash):
            raise InvalidLogin
        return ConsoleLogin(username, token, self.csrf_token(token), expires_at)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
