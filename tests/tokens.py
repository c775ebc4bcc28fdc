"""API tokens of version 1, minted as a host app does."""

import base64
import time

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def mint_token(
    *,
    client_id: str,
    public_key: str,
    user_id: str,
    username: str = "Test User",
    timestamp: float | None = None,
    inner_client_id: str | None = None,
) -> str:
    """A token for a user of a client; the last two arguments make bad ones."""
    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, RSAPublicKey)
    made_at = time.time() if timestamp is None else timestamp
    plain = f"{inner_client_id or client_id}|{user_id}|{username}|{made_at}"
    sealed = key.encrypt(plain.encode(), OAEP(MGF1(SHA256()), SHA256(), None))
    return base64.b64encode(f"{client_id}|{base64.b64encode(sealed).decode()}".encode()).decode()
