"""Single sign-on: where a browser goes after it said who it is. Targets come from settings only."""

import hashlib
import hmac
import secrets

from auth_service.attempts import FailedAttempts
from auth_service.errors import CredentialRefused
from auth_service.sessions import Sessions
from auth_service.store.credentials import Store

DEMO_CLIENT = 0
_WRONG_SECRET = "单点失败, 请提供正确口令"  # noqa: S105  # a sentence
_UNKNOWN_CLIENT = "无效的客户端,无法单点登录,请重新进入"


class SingleSignOn:
    """The demo login: one secret for all, a user of its own for every browser."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        failures: FailedAttempts,
        *,
        demo_secret: str,
        h5_address: str,
    ) -> None:
        self._store, self._sessions, self._failures = store, sessions, failures
        self._demo_secret, self._h5_address = demo_secret, h5_address

    async def target(
        self, client: str, secret: str | None, *, address: str, cookie: str | None
    ) -> str:
        """Where to send the browser. Raises TooManyRequests."""
        if client != str(DEMO_CLIENT):
            return self._refusal(_UNKNOWN_CLIENT)
        self._failures.check(address)
        if not secret:  # nobody guesses with nothing: the H5 itself comes here without a secret
            return self._refusal(_WRONG_SECRET)
        if not _equal(secret, self._demo_secret):
            self._failures.record(address)
            return self._refusal(_WRONG_SECRET)
        demo = await self._store.client(DEMO_CLIENT)
        if demo is None or not demo.enable:
            return self._refusal(_UNKNOWN_CLIENT)
        opened = await self._sessions.open(DEMO_CLIENT, await self._demo_user(cookie))
        return f"{self._h5_address}/sso?token={opened.token}"

    async def _demo_user(self, cookie: str | None) -> str:
        """The browser's own user when its session is live, else a new one."""
        try:
            session = await self._sessions.find(cookie or "")
        except CredentialRefused:
            session = None
        if session and session.client_id == DEMO_CLIENT:
            return session.user_id
        user_id = f"demo-{secrets.token_hex(4)}"
        await self._store.save_user(DEMO_CLIENT, user_id, username=user_id)
        return user_id

    def _refusal(self, message: str) -> str:
        return f"{self._h5_address}/401?message={message}"


def _equal(given: str, secret: str) -> bool:
    """Constant in time, and the digests hide the length."""
    digests = [hashlib.sha256(text.encode()).digest() for text in (given, secret)]
    return hmac.compare_digest(*digests)
