"""API keys as they are stored: a digest, and the first characters to know them by."""

import hashlib

_SHOWN_PREFIX = 10


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def at_rest(key: str) -> dict[str, str]:
    """The columns that stand for the key."""
    return {"prefix": key[:_SHOWN_PREFIX], "key_hash": digest(key)}
