"""v2 tokens: JWTs that a host app signs with a private key of its own.

The key that a client registered decides the algorithm, never the token. Times may differ by a
minute from ours. Consuming the `jti` is the store's part.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from auth_service.errors import CredentialRefused
from auth_service.store.records import StoredClientKey

MAX_LENGTH = 4096
MAX_LIFE_SECONDS = 900
SKEW_SECONDS = 60
_AUDIENCE = "chat2llm"
_SHAPE = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_CLIENT_ID = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Keys that a token brings along prove nothing; whoever sends them tries something.
_FOREIGN_KEYS = {"jwk", "jku", "x5c", "x5u"}
_KEYS_KEPT = 512
# Claims are read below, by our own clock and with types.
_SIGNED = jwt.PyJWT(
    {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_sub": False,
        "verify_jti": False,
        "enforce_minimum_key_length": True,
    }
)
_UNSIGNED = jwt.PyJWT()


@dataclass(frozen=True, slots=True)
class UnprovenToken:
    """A token as it came; nothing in it is proven, its client neither."""

    text: str
    client_id: int
    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """What the host app signed. `username` is None when it gave none."""

    user_id: str
    username: str | None
    groups: tuple[str, ...]
    jti_hash: str
    issued_at: float
    expires_at: float


def is_signed(credential: str) -> bool:
    """Whether it has the shape of a JWT."""
    return len(credential) <= MAX_LENGTH and bool(_SHAPE.fullmatch(credential))


def read_unproven(token: str) -> UnprovenToken | None:
    """The token, None when it is no JWT, has no client or brings a key along."""
    try:
        read = _UNSIGNED.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    header, client_id = read["header"], read["payload"].get("iss")
    if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
        return None
    if _FOREIGN_KEYS & header.keys():
        return None
    return UnprovenToken(token, int(client_id), str(header.get("alg")), header.get("kid"))


class SignatureVerifier:
    """Verifies signatures; parsed keys are kept."""

    def __init__(self) -> None:
        self._keys: LRUCache[str, Any] = LRUCache(_KEYS_KEPT)
        self._decoys = {
            "RS256": RSAPublicNumbers(65537, secrets.randbits(3072) | 1 << 3071 | 1).public_key(),
            "ES256": generate_private_key(SECP256R1()).public_key(),
            "EdDSA": Ed25519PrivateKey.generate().public_key(),
        }

    def verify(self, token: UnprovenToken, keys: Sequence[StoredClientKey]) -> dict[str, Any]:
        """The claims that one of the keys signed for us.

        Raises CredentialRefused, after the work of a signature whether or not there is a key.
        """
        named = [key for key in keys if token.kid is None or key.kid == token.kid]
        fitting = [key for key in named if key.algorithm == token.algorithm]
        for key in fitting:
            claims = self._claims(token, key.algorithm, self._parsed(key.public_key))
            if claims is not None:
                return claims
        if not fitting and token.algorithm in self._decoys:
            self._claims(token, token.algorithm, self._decoys[token.algorithm])
        raise CredentialRefused

    def _claims(self, token: UnprovenToken, algorithm: str, key: Any) -> dict[str, Any] | None:
        try:
            return _SIGNED.decode(
                token.text, key, [algorithm], audience=_AUDIENCE, issuer=str(token.client_id)
            )
        except jwt.PyJWTError:
            return None

    def _parsed(self, pem: str) -> Any:
        if pem not in self._keys:
            self._keys[pem] = load_pem_public_key(pem.encode())
        return self._keys[pem]


def read_signed_claims(claims: dict[str, Any], *, now: float) -> SignedClaims:
    """Raises CredentialRefused."""
    try:
        read = _Claims.model_validate(claims)
    except ValidationError:
        raise CredentialRefused from None
    if max(read.iat or 0, read.nbf or 0) > now + SKEW_SECONDS:
        raise CredentialRefused
    if read.exp > now + MAX_LIFE_SECONDS + SKEW_SECONDS:
        raise CredentialRefused
    if read.exp + SKEW_SECONDS <= now:
        raise CredentialRefused("expired")
    return SignedClaims(
        user_id=read.sub,
        username=None if read.name is None else _UNPRINTABLE.sub(" ", read.name)[:50],
        groups=tuple(dict.fromkeys(read.groups or ())),
        jti_hash=hashlib.sha256(read.jti.encode()).hexdigest(),
        issued_at=read.exp - MAX_LIFE_SECONDS if read.iat is None else read.iat,
        expires_at=read.exp,
    )


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("unprintable")
    return text


_Time = Annotated[float, Field(allow_inf_nan=False)]
_Printable = AfterValidator(_printable)


class _Claims(BaseModel):
    """The claims that we read, and what they may be."""

    model_config = ConfigDict(strict=True)

    sub: Annotated[str, Field(min_length=1, max_length=64), _Printable]
    jti: Annotated[str, Field(min_length=1, max_length=200), _Printable]
    exp: _Time
    iat: _Time | None = None
    nbf: _Time | None = None
    name: str | None = None
    groups: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=64), _Printable]],
            Field(max_length=50),
        ]
        | None
    ) = None
