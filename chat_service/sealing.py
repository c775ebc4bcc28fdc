"""The master key that seals the models' API keys at rest."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.Random import get_random_bytes

_NONCE, _TEXT = 12, 12 + 16  # where each part ends: nonce, tag, sealed text


class MasterKey:
    """Seals texts with AES-GCM. Takes any long text."""

    def __init__(self, text: str) -> None:
        self._key = HKDF(text.encode(), 32, b"", SHA256, context=b"chat2llm model keys")

    def seal(self, text: str, *, name: str) -> bytes:
        """What only this key opens, and only as this model's."""
        nonce = get_random_bytes(_NONCE)
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=nonce)
        cipher.update(name.encode())
        sealed, tag = cipher.encrypt_and_digest(text.encode())
        return nonce + tag + sealed

    def open(self, sealed: bytes, *, name: str) -> str:
        """Raises ValueError when another key sealed it, or for another model."""
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=sealed[:_NONCE])
        cipher.update(name.encode())
        return cipher.decrypt_and_verify(sealed[_TEXT:], sealed[_NONCE:_TEXT]).decode()


def master_key(given: str, path: Path) -> MasterKey:
    """The given one, else that of the file; a missing file is made, by one process alone."""
    if given:
        return MasterKey(given)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(handle)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        Path(draft).unlink()
    return MasterKey(path.read_text("ascii").strip())
