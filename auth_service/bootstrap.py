"""Secrets that nobody set: made at first start, kept in the data folder for their owner only.

A secret given by setting wins over its file. The first process to make a file wins over the others.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from auth_service.settings import AuthSettings
from servicekit.settings import ConfigurationError

API_KEY_PREFIX = "c2l-"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What auth_service needs to know that nobody else does."""

    master_key: str = field(repr=False)
    caller_key: Ed25519PrivateKey = field(repr=False)
    introspection_key: str = field(repr=False)
    demo_secret: str = field(repr=False)
    admin_key: str = field(repr=False)


def ensure_secrets(settings: AuthSettings) -> Secrets:
    """The secrets, made where they are missing. Raises ConfigurationError."""
    data = settings.chat2llm_data
    try:
        caller_key = _caller_key(data / "auth" / "caller.key")
        _publish(data / "keys" / "caller.pub", caller_key)
        admin_key = _text(settings.chat2llm_admin_key, admin_key_file(settings), API_KEY_PREFIX)
        _write(admin_key_file(settings), f"{admin_key}\n".encode(), replace=True)
        return Secrets(
            master_key=_text(settings.master_key, data / "auth" / "master.key"),
            caller_key=caller_key,
            introspection_key=_text(
                settings.introspection_key, data / "gateway" / "introspection.key"
            ),
            demo_secret=demo_secret(settings),
            admin_key=admin_key,
        )
    except OSError as error:
        raise ConfigurationError(
            f"The data folder cannot be used. 数据目录无法使用: {error}"
        ) from None


def demo_secret(settings: AuthSettings) -> str:
    return _text(settings.h5_demo_secret, settings.chat2llm_data / "auth" / "demo.secret")


def admin_key_file(settings: AuthSettings) -> Path:
    """Where the first admin key is, whoever chose it."""
    return settings.chat2llm_data / "auth" / "admin.key"


def _text(given: SecretStr, path: Path, prefix: str = "") -> str:
    if given:
        return given.get_secret_value()
    made = _read_or_make(path, lambda: f"{prefix}{secrets.token_urlsafe(32)}\n".encode())
    try:
        text = made.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise _damaged(path)
    return text


def _caller_key(path: Path) -> Ed25519PrivateKey:
    pem = _read_or_make(
        path,
        lambda: Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    )
    try:
        key = load_pem_private_key(pem, None)
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(path)
    return key


def _publish(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(path, pem, mode=0o644, replace=True)


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    if not path.exists():
        _write(path, make())
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return path.read_bytes()


def _write(path: Path, content: bytes, *, mode: int = 0o600, replace: bool = False) -> None:
    """Whole or not at all; without `replace` a file that is there by now stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if replace and path.exists() and path.read_bytes() == content:
        return
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        Path(draft).chmod(mode)
        if replace:
            Path(draft).replace(path)
            return
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink(missing_ok=True)


def _damaged(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is damaged: restore it, or remove it to have a new one made."
        " 文件已损坏，请恢复它，或删除后自动重新生成。"
    )
