"""The demo login: one secret for all, a user of its own for every browser."""

import hashlib
import hmac
import secrets

from auth_service.errors import CredentialRefused
from auth_service.sessions import Sessions
from auth_service.sso.provider import LoginRefused, ProviderUser

DEMO_CLIENT = 0
_REFUSAL = "单点失败, 请提供正确口令"


class DemoLogin:
    """Whoever knows the secret is somebody new, or who the browser is already."""

    method = "demo"

    def __init__(self, sessions: Sessions, secret: str) -> None:
        self._sessions, self._secret = sessions, secret

    async def identify(self, secret: str | None, session_cookie: str | None) -> ProviderUser:
        """Raises LoginRefused."""
        if not secret:  # nobody guesses with nothing: the H5 itself comes without a secret
            raise LoginRefused(_REFUSAL)
        if not _equal(secret, self._secret):
            raise LoginRefused(_REFUSAL, "secret", guess=True)
        user_id = await self._live_user(session_cookie) or f"demo-{secrets.token_hex(8)}"
        return ProviderUser(user_id, user_id)

    async def _live_user(self, session_cookie: str | None) -> str | None:
        try:
            session = await self._sessions.find(session_cookie or "")
        except CredentialRefused:
            return None
        return session.user_id if session.client_id == DEMO_CLIENT else None


def _equal(given: str, secret: str) -> bool:
    """Constant in time, and the digests hide the length."""
    digests = [hashlib.sha256(text.encode(errors="replace")).digest() for text in (given, secret)]
    return hmac.compare_digest(*digests)
