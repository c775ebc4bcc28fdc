"""Public keys that host apps register: read once, refused with a reason that helps."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from servicekit.errors import Invalid

_MAX_LENGTH = 10_000
_RSA_BITS = range(2048, 8193)
_KID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key in SPKI, the one algorithm that it is good for, and its RFC 7638 thumbprint."""

    algorithm: str
    pem: str
    thumbprint: str


def read_public_key(text: str) -> PublicKey:
    """Raises Invalid. The text is never shown again: it may be the wrong half."""
    if "PRIVATE KEY" in text:
        raise Invalid(
            "This is a private key. It must never leave your host app: treat it as leaked, make a"
            " new pair and register the new public key. It was not stored."
            " 这是私钥，绝不能离开宿主应用：请视其为已泄露，重新生成密钥对并登记新的公钥。"
            "此内容未被保存。"
        )
    try:
        key = load_pem_public_key(text.strip().encode()) if len(text) <= _MAX_LENGTH else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise _refused(f"an RSA key of {key.key_size} bits", f"{key.key_size} 位 RSA 公钥")
        return _known("RS256", key, RSAAlgorithm.to_jwk(key))
    if isinstance(key, EllipticCurvePublicKey):
        if not isinstance(key.curve, SECP256R1):
            raise _refused(f"a key on the curve {key.curve.name}", f"曲线 {key.curve.name} 的公钥")
        return _known("ES256", key, ECAlgorithm.to_jwk(key))
    if isinstance(key, Ed25519PublicKey):
        return _known("EdDSA", key, OKPAlgorithm.to_jwk(key))
    raise _refused("something else", "其他内容")


def read_kid(text: str) -> str:
    """Raises Invalid."""
    if not _KID.fullmatch(text):
        raise Invalid(
            "A kid has 1 to 64 letters, digits or . _ : - signs."
            " 公钥编号 kid 须为 1 至 64 个字母、数字或 . _ : - 符号。"
        )
    return text


def _known(
    algorithm: str, key: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey, jwk: str
) -> PublicKey:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    required = {
        name: value
        for name, value in json.loads(jwk).items()
        if name in ("crv", "e", "kty", "n", "x", "y")
    }
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).digest()
    return PublicKey(algorithm, pem, base64.urlsafe_b64encode(digest).decode().rstrip("="))


def _refused(what: str, chinese: str) -> Invalid:
    return Invalid(
        f"This is {what}: give a public key as PEM (BEGIN PUBLIC KEY) - RSA of 2048 to 8192 bits,"
        " EC on P-256, or Ed25519."
        f" 这是{chinese}：请提供 PEM 格式公钥（BEGIN PUBLIC KEY），RSA 2048 至 8192 位、EC P-256"
        " 或 Ed25519。"
    )
