"""Operators' passwords: argon2 in a thread of its own, the same work whether or not they fit."""

import secrets
from functools import partial

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from servicekit.errors import Invalid

MIN_LENGTH = 12
MAX_LENGTH = 200


class Passwords:
    """Hashes and checks; one at a time, since each takes 64 MiB."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = CapacityLimiter(1)
        self._decoy = ""

    async def hash(self, password: str) -> str:
        """Raises Invalid."""
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH or not _is_text(password):
            raise Invalid(
                f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
                f" 密码须为 {MIN_LENGTH} 至 {MAX_LENGTH} 个字符。"
            )
        return await run_sync(partial(self._hasher.hash, password), limiter=self._threads)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Nobody's password, without a hash, takes as long as anybody's."""
        if len(password) > MAX_LENGTH or not _is_text(password):
            return False
        return await run_sync(
            partial(self._matches, password, password_hash), limiter=self._threads
        )

    def _matches(self, password: str, password_hash: str | None) -> bool:
        if password_hash is None and not self._decoy:
            self._decoy = self._hasher.hash(make_password())
        try:
            return self._hasher.verify(password_hash or self._decoy, password) and bool(
                password_hash
            )
        except (VerificationError, InvalidHashError):
            return False


def make_password() -> str:
    return secrets.token_urlsafe(18)


def _is_text(password: str) -> bool:
    """Lone surrogates have no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in password)
