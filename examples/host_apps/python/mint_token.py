"""Mints the tokens with which a host app vouches for its users. Needs only `cryptography`.

python mint_token.py v1 CLIENT_ID CLIENT_KEY.pem USER_ID NAME
python mint_token.py v2 CLIENT_ID PRIVATE_KEY.pem USER_ID NAME [--groups a,b] [--kid ID]

v1 seals with the key that Chat2LLM gave you; v2 signs with your own, whose public half you
registered. Mint on your server, for each opening of the chat page, for the user who is logged in.
"""

import argparse
import base64
import json
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

LIFETIME = 300  # seconds; a v2 token is good once, and for at most 15 minutes


def mint_v1(client_id: str, client_key: bytes, user_id: str, name: str, at: str = "") -> str:
    """A sealed token; `client_key` is a shared secret, whatever its PEM says."""
    if "|" in user_id:
        raise SystemExit("a user id must not contain |")
    key = load_pem_public_key(client_key)
    assert isinstance(key, rsa.RSAPublicKey), "the client key is an RSA key"
    plain = f"{client_id}|{user_id}|{name}|{at or time.time()}"
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    sealed = base64.b64encode(key.encrypt(plain.encode(), oaep)).decode()
    return base64.b64encode(f"{client_id}|{sealed}".encode()).decode()


def mint_v2(
    client_id: str,
    private_key: bytes,
    user_id: str,
    name: str,
    *,
    groups: list[str] | None = None,
    kid: str = "",
    at: str = "",
    jti: str = "",
) -> str:
    """A signed token (JWT); nobody else can make one, because the private key is yours alone."""
    key = load_pem_private_key(private_key, None)
    now = int(float(at or time.time()))
    header = {"alg": _algorithm(key), "typ": "JWT"} | ({"kid": kid} if kid else {})
    claims = {"iss": client_id, "aud": "chat2llm", "sub": user_id, "name": name}
    claims |= {"jti": jti or str(uuid.uuid4()), "iat": now, "exp": now + LIFETIME}
    claims |= {} if groups is None else {"groups": groups}
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{_base64url(_sign(key, signed.encode()))}"


def _algorithm(key: object) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    raise SystemExit("the private key must be Ed25519, P-256 or RSA")


def _sign(key: object, text: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")  # as JWT wants it, not DER
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.sign(text, padding.PKCS1v15(), SHA256())


def _part(value: dict[str, object]) -> str:
    return _base64url(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def main() -> None:
    options = argparse.ArgumentParser(description="Mint a token for one user.")
    options.add_argument("version", choices=["v1", "v2"])
    for name in ("CLIENT_ID", "KEY.pem", "USER_ID", "NAME"):
        options.add_argument(name)
    options.add_argument("--groups", help="v2: departments, comma separated")
    options.add_argument("--kid", default="", help="v2: which of your registered keys it is")
    options.add_argument("--at", default="", help="Unix time instead of now, for tests")
    options.add_argument(
        "--jti", default="", help="v2: token id instead of a random one, for tests"
    )
    given = vars(options.parse_args())
    client_id, user_id, name = given["CLIENT_ID"], given["USER_ID"], given["NAME"]
    key = Path(given["KEY.pem"]).read_bytes()
    if given["version"] == "v1":
        print(mint_v1(client_id, key, user_id, name, given["at"]))
        return
    groups = None if given["groups"] is None else [g for g in given["groups"].split(",") if g]
    more = {option: given[option] for option in ("kid", "at", "jti")}
    print(mint_v2(client_id, key, user_id, name, groups=groups, **more))


if __name__ == "__main__":
    main()
