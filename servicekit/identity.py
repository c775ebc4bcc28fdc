"""Who is calling: a signed header that the edge adds and every service verifies.

The header is a JWS (EdDSA). Only its issuer holds the private key; services hold the public one, so
a service that is reached around the edge answers 401.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jwt
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError

from servicekit.errors import Forbidden, Unauthorized

CALLER_HEADER = "X-Chat2LLM-Caller"
_AUDIENCE = "chat2llm-services"
_JWT = jwt.PyJWT({"require": ["exp", "aud"]})


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal: the user of a client, or a client's (or operator's) API key.

    `groups` are the user's, as its client says. `confined_to` names the only resources that the
    credential may reach, of those that the principal may; None confines it to nothing.
    """

    client_id: str
    user_id: str
    username: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...] = ()
    confined_to: tuple[str, ...] | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


_CALLER = TypeAdapter(Caller)


def sign_caller(caller: Caller, key: Ed25519PrivateKey, *, expires_at: float) -> str:
    claims = {**asdict(caller), "aud": _AUDIENCE, "exp": int(expires_at)}
    return jwt.encode(claims, key, algorithm="EdDSA")


class CallerVerifier:
    """Verifies caller headers; verified ones are remembered until they expire."""

    def __init__(self, public_key: Ed25519PublicKey) -> None:
        self._key = public_key
        self._seen: LRUCache[str, tuple[Caller, float]] = LRUCache(10_000)

    @classmethod
    def from_file(cls, path: Path) -> "CallerVerifier":
        key = load_pem_public_key(path.read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError(f"{path} does not hold an Ed25519 public key")
        return cls(key)

    def verify(self, header: str | None) -> Caller:
        """The caller that the header vouches for. Raises Unauthorized."""
        if not header:
            raise Unauthorized("This service is reached through the gateway. 请通过网关访问。")
        seen = self._seen.get(header)
        if seen is None or seen[1] <= time.time():
            seen = self._seen[header] = self._decode(header)
        return seen[0]

    def _decode(self, header: str) -> tuple[Caller, float]:
        try:
            claims = _JWT.decode(header, self._key, ["EdDSA"], audience=_AUDIENCE)
            return _CALLER.validate_python(claims), float(claims["exp"])
        except (jwt.InvalidTokenError, ValidationError):
            raise Unauthorized("The caller header is not valid. 身份信息无效。") from None


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _require_caller(request: Request) -> Caller:
    verifier: CallerVerifier = request.app.state.caller_verifier
    return verifier.verify(request.headers.get(CALLER_HEADER))


CallerDep = Annotated[Caller, Depends(_require_caller)]


def require_scope(scope: str) -> Any:
    """A route dependency: the caller, who must have the scope."""

    async def require(caller: CallerDep) -> Caller:
        if not caller.may(scope):
            raise Forbidden(f"The scope {scope} is needed. 没有权限。")
        return caller

    return Depends(require)
