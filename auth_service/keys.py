"""Clients' key pairs, and the master key that seals their private halves at rest."""

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.PublicKey import RSA
from Crypto.Random import get_random_bytes

from auth_service.errors import MasterKeyMismatch

DEFAULT_BITS = 3072  # 318 bytes of plain text; 1024 bits would leave 62
_NONCE, _TEXT = 12, 12 + 16  # where each part ends: nonce, tag, sealed text


class MasterKey:
    """Seals bytes with AES-GCM, and derives keys of other purposes. Takes any long text."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._seal_key = self.derive("seal")

    def seal(self, plain: bytes, *, client_id: int) -> bytes:
        """What only this key opens, and only as this client's."""
        nonce = get_random_bytes(_NONCE)
        cipher = AES.new(self._seal_key, AES.MODE_GCM, nonce=nonce)
        cipher.update(_label(client_id))
        sealed, tag = cipher.encrypt_and_digest(plain)
        return nonce + tag + sealed

    def open(self, sealed: bytes, *, client_id: int) -> bytes:
        """Raises MasterKeyMismatch."""
        nonce, tag, text = sealed[:_NONCE], sealed[_NONCE:_TEXT], sealed[_TEXT:]
        try:
            cipher = AES.new(self._seal_key, AES.MODE_GCM, nonce=nonce)
            cipher.update(_label(client_id))
            return cipher.decrypt_and_verify(text, tag)
        except ValueError:
            raise MasterKeyMismatch from None

    def derive(self, purpose: str) -> bytes:
        context = f"chat2llm {purpose}".encode()
        return HKDF(self._text, 32, b"", SHA256, context=context)


def make_key_pair(bits: int = DEFAULT_BITS) -> tuple[str, bytes]:
    """Public key (SPKI) and private key (PKCS#1), both PEM. Takes seconds of CPU."""
    key = RSA.generate(bits)
    return key.public_key().export_key().decode() + "\n", key.export_key()


def _label(client_id: int) -> bytes:
    return f"client {client_id}".encode()
