"""Operators' passwords: argon2id at rest, computed in few threads, also for nobody."""

from base64 import b64encode
from functools import partial
from secrets import token_bytes
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from servicekit.errors import Unavailable

MAX_PASSWORD_LENGTH = 200
_MEMORY_KIB = 19_456  # with two passes, OWASP's first recommendation; each thread holds it
_PASSES = 2
_THREADS = 2
_MAX_PENDING = 20
_Result = TypeVar("_Result")


class Passwords:
    """Hashes and verifies; more than can wait are told to come back."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(_PASSES, _MEMORY_KIB, parallelism=1)
        self._threads = CapacityLimiter(_THREADS)
        self._pending = 0
        self._decoy = _nobodys_hash(self._hasher)

    async def hash(self, password: str) -> str:
        return await self._run(partial(self._hasher.hash, password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the one; without a hash it is not, after the same work."""
        verified = await self._run(partial(self._verify, password, password_hash or self._decoy))
        return verified and password_hash is not None

    async def _run(self, work: "partial[_Result]") -> _Result:
        if self._pending >= _MAX_PENDING:
            raise Unavailable("Too many logins at once. 登录请求过多，请稍后再试。", retry_after=1)
        self._pending += 1
        try:
            return await run_sync(work, limiter=self._threads)
        finally:
            self._pending -= 1

    def _verify(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _nobodys_hash(hasher: PasswordHasher) -> str:
    """One that costs as much to verify as any other, and that no password is known to have."""
    salt, digest = (
        b64encode(token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"
