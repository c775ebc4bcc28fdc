"""What single sign-on asks of a provider: where to log in, and who came back with a code."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProviderUser:
    """A user as the provider names it; both fit our columns (64 and 50 characters)."""

    user_id: str
    username: str


class LoginRefused(Exception):
    """Nobody logs in: a sentence for the person, a word for the audit log.

    Without a reason nothing was tried. `guess`: it counts as a failed try of that address.
    """

    def __init__(self, message: str, reason: str = "", *, guess: bool = False) -> None:
        super().__init__(message)
        self.reason, self.guess = reason, guess


class Provider(Protocol):
    """Logs users in on a page of its own and gives a code for them (OAuth 2, OpenID Connect).

    `state` is good once, for ten minutes and in one browser; that is checked before `identify`. It
    is secret to nobody, so what else a protocol binds to one login is an HMAC of the state under a
    key of the provider's own, and nothing needs to be stored:

    - OpenID Connect: the PKCE `code_verifier` and the `nonce`. `authorize_url` sends S256 of the
      one and the other, `identify` the verifier, and compares the ID token's nonce. Both wait, for
      the discovery document. A `sub` may be longer than a user id: then its hash is one.
    - DingTalk: the code (`authCode`) for a user's token, with it the user (`unionId`, `nick`).
    - Feishu: an app token kept like WeCom's, the code for the user (`union_id`, `name`).

    Addresses, ids and secrets, the way back included, are settings and never a request's.
    """

    method: str  # how its sessions began, at most 10 characters

    async def authorize_url(self, state: str) -> str:
        """Where the browser logs in. Raises LoginRefused."""
        ...

    async def identify(self, code: str, state: str) -> ProviderUser:
        """Who came back. Raises LoginRefused."""
        ...
