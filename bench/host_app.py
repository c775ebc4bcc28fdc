"""A host app of the measurements: registered by an operator, it mints tokens of both versions."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.stack import Stack
from tests.tokens import mint_token

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SigningKey:
    """A private key of the host app; `public` is what it registers."""

    def __init__(self, algorithm: str) -> None:
        makers: dict[str, Callable[[], _PrivateKey]] = {
            "RS256": lambda: rsa.generate_private_key(65537, 3072),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        self.algorithm, self.private = algorithm, makers[algorithm]()
        public = self.private.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public = pem.decode()


@dataclass(frozen=True, slots=True)
class HostApp:
    client_id: str
    v1_key: str

    @classmethod
    def registered(cls, stack: Stack, key: SigningKey | None = None) -> "HostApp":
        output = stack.run("auth_service", "client", "add", "bench")
        number = re.search(r"client id:\s*(\d+)", output)
        pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.DOTALL)
        if number is None or pem is None:
            raise RuntimeError(f"no client was added: {output}")
        if key is not None:
            answer = httpx.post(
                f"{stack.url}/admin/clients/{number[1]}/signing-keys",
                headers={"Authorization": f"Bearer {stack.admin_key}"},
                json={"public_key": key.public, "kid": "bench"},
            )
            if answer.status_code >= 300:
                raise RuntimeError(f"no signing key was registered: {answer.text}")
        return cls(number[1], pem[0] + "\n")

    def token(self, user_id: str) -> str:
        """A v1 token, never the same twice."""
        return mint_token(client_id=self.client_id, public_key=self.v1_key, user_id=user_id)

    def signed_token(self, user_id: str, key: SigningKey) -> str:
        """A v2 token."""
        claims = {
            "iss": self.client_id,
            "aud": "chat2llm",
            "sub": user_id,
            "jti": uuid.uuid4().hex,
            "exp": int(time.time()) + 600,
        }
        headers = {"kid": "bench"}
        return jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)
