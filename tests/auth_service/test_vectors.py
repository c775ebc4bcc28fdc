"""Tokens of fixed keys, opened by both libraries and by the service."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature.pss import MGF1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth_service.keys import MasterKey
from auth_service.tokens import TokenOpener, parse_token, read_claims
from tests.tokens import mint_token

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
TOKENS = pytest.mark.parametrize(
    "vector",
    VECTORS["tokens"],
    ids=lambda vector: f"{vector['bits']}-{vector['sealed_by']}-{vector['user_id'][:12]}",
)


def private_key(vector: dict[str, Any]) -> str:
    return str(VECTORS["keys"][str(vector["bits"])]["private_key"])


def plain(vector: dict[str, Any]) -> bytes:
    fields = (vector[name] for name in ("client_id", "user_id", "username", "timestamp"))
    return "|".join(fields).encode()


def by_cryptography(pem: str, ciphertext: bytes) -> bytes:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return key.decrypt(ciphertext, oaep)


def by_pycryptodome(pem: str, ciphertext: bytes) -> bytes:
    cipher = PKCS1_OAEP.new(RSA.import_key(pem), SHA256, lambda x, y: MGF1(x, y, SHA256))
    return cipher.decrypt(ciphertext)


@TOKENS
def test_both_libraries_read_the_same(vector: dict[str, Any]) -> None:
    parsed = parse_token(vector["token"])
    assert parsed is not None
    assert str(parsed.client_id) == vector["client_id"]
    assert by_cryptography(private_key(vector), parsed.ciphertext) == plain(vector)
    assert by_pycryptodome(private_key(vector), parsed.ciphertext) == plain(vector)


@TOKENS
async def test_the_service_reads_the_same(vector: dict[str, Any]) -> None:
    master_key = MasterKey("m" * 32)
    number = int(vector["client_id"])
    sealed = master_key.seal(private_key(vector).encode(), client_id=number)
    parsed = parse_token(vector["token"])
    assert parsed is not None
    opened = await TokenOpener(master_key).open(parsed, sealed)
    claims = read_claims(opened, client_id=number, now=1_790_000_001)
    assert claims.user_id == vector["user_id"]
    assert claims.username == vector["username"]
    assert claims.issued_at == float(vector["timestamp"])


def test_lengths_are_those_of_the_contract() -> None:
    lengths = {(vector["bits"], len(vector["token"])) for vector in VECTORS["tokens"]}
    assert lengths == {(1024, 232), (3072, 688)}


@pytest.mark.parametrize(("bits", "most"), [("1024", 62), ("3072", 318)])
def test_a_key_holds_as_much_as_documented(bits: str, most: int) -> None:
    """266 bytes are needed: 32 + 64 + 150 + 20."""
    public_key = VECTORS["keys"][bits]["public_key"]
    fixed = len("7|u||1790000000")
    for room, fits in ((most, True), (most + 1, False)):
        options = {"client_id": "7", "public_key": public_key, "user_id": "u"}
        name = "n" * (room - fixed)
        if fits:
            assert parse_token(mint_token(**options, username=name, timestamp=1790000000))
        else:
            with pytest.raises(ValueError, match=r"."):
                mint_token(**options, username=name, timestamp=1790000000)


def test_the_outer_layer_survives_an_address_unescaped() -> None:
    """Its alphabet has neither `+` nor `/`, for any client id and ciphertext."""
    for last in range(256):
        sealed = base64.b64encode(bytes([last, 255 - last, last]) * 128).decode()
        token = base64.b64encode(f"12|{sealed}".encode()).decode()
        assert token.rstrip("=").isalnum()
