"""A host app's side of v2: key pairs, their registration, and tokens that are right or wrong."""

import base64
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import insert

from auth_service.models import CLIENT_KEYS
from tests.auth_service.conftest import Gateway

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ALGORITHMS = ("RS256", "ES256", "EdDSA")
MINUTE = 60


@dataclass(frozen=True)
class HostKey:
    """A key pair that the host app made."""

    kid: str
    algorithm: str
    private: PrivateKey

    @property
    def public_pem(self) -> str:
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def register(self, gateway: Gateway, client_id: str) -> None:
        row = {
            "client_id": int(client_id),
            "kid": self.kid,
            "algorithm": self.algorithm,
            "public_key": self.public_pem,
            "create_time": datetime.now(UTC).replace(tzinfo=None),
        }
        await gateway.execute(insert(CLIENT_KEYS).values(row))

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, self.algorithm, {"kid": self.kid} | header)


def make_key(algorithm: str = "ES256", kid: str = "k1") -> HostKey:
    made: dict[str, Any] = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    return HostKey(kid, algorithm, made[algorithm]())


def claims(gateway: Gateway, client_id: str, **changes: Any) -> dict[str, Any]:
    """What a host app says of a user; a change to None leaves the claim out."""
    now = gateway.clock.now
    said = {
        "iss": client_id,
        "aud": "chat2llm",
        "sub": "u1",
        "name": "张三",
        "jti": uuid.uuid4().hex,
        "iat": now,
        "exp": now + 5 * MINUTE,
    } | changes
    return {name: value for name, value in said.items() if value is not None}


def raw(header: object, payload: object, signature: bytes = b"x" * 64) -> str:
    """A token of any parts, which no library would make."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)
    ]
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, signature)
    )
