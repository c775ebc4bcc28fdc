"""The `state` of a login elsewhere: signed, for one browser, ten minutes and one use.

`nonce (32) | end in Unix seconds (8) | client (8) | HMAC-SHA-256 (64)`, all hexadecimal: providers
take at most 128 letters and digits. The HMAC also covers what the browser's cookie holds.
"""

import hmac
import re
import secrets
from collections.abc import Callable

from auth_service.sso.provider import LoginRefused
from auth_service.store.sso_states import SsoStates

STATE_SECONDS = 600
_STATE = re.compile(
    r"(?P<nonce>[0-9a-f]{32})(?P<end>[0-9a-f]{8})(?P<client>[0-9a-f]{8})[0-9a-f]{64}"
)
_BROWSER = re.compile(r"[0-9a-f]{32}")
_WRONG = (
    "登录请求无效、已被使用或来自其他浏览器,请重新进入。"
    " This login is not valid, was used before or began in another browser: please start again."
)
_LATE = "登录超时,请重新进入。 The login took too long, please start again."


class LoginStates:
    """Makes states and redeems each of them once."""

    def __init__(self, store: SsoStates, key: bytes, clock: Callable[[], float]) -> None:
        self._store, self._key, self._clock = store, key, clock

    def browser(self, cookie: str | None) -> str:
        """What marks a browser: what its cookie holds, so that two tabs can log in at once."""
        return cookie if cookie and _BROWSER.fullmatch(cookie) else secrets.token_hex(16)

    def make(self, client_id: int, browser: str) -> str:
        end = int(self._clock()) + STATE_SECONDS
        signed = f"{secrets.token_hex(16)}{end:08x}{client_id:08x}"
        return signed + self._signature(signed, browser)

    async def redeem(self, state: str, browser: str | None) -> int:
        """The client that the browser logs in to, once. Raises LoginRefused."""
        found = _STATE.fullmatch(state)
        if found is None or not browser or not _BROWSER.fullmatch(browser):
            raise LoginRefused(_WRONG, "state")
        if not hmac.compare_digest(self._signature(state[:48], browser), state[48:]):
            raise LoginRefused(_WRONG, "state")
        end = int(found["end"], 16)
        if end <= self._clock():
            raise LoginRefused(_LATE, "late")
        if not await self._store.consume(found["nonce"], expires_at=end):
            raise LoginRefused(_WRONG, "replay")
        return int(found["client"], 16)

    def _signature(self, signed: str, browser: str) -> str:
        return hmac.digest(self._key, f"{signed} {browser}".encode(), "sha256").hex()
