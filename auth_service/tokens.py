"""v1 api_tokens: `base64(client_id|base64(RSA-OAEP(client_id|user_id|username|timestamp)))`.

Whoever holds a client's public key can mint them for any user of that client, and no other.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import cache, partial

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth_service.errors import CredentialRefused
from auth_service.keys import DEFAULT_BITS, MasterKey
from servicekit.errors import Unavailable

MAX_TOKEN_LENGTH = 1000  # a 4096-bit key's token has 936 characters
MAX_AHEAD_SECONDS = 300
_MIN_TOKEN_LENGTH = 200
_CLIENT_ID = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_CIPHERTEXT_LENGTHS = (128, 256, 384, 512)
_TIMESTAMP = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE]\+?[0-9]{1,2})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OAEP = OAEP(MGF1(SHA256()), SHA256(), None)
_THREADS = 2
_MAX_PENDING = 200


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token of the right shape; nothing in it is proven."""

    client_id: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Claims:
    """What the host app says: who the user is, and when it said so."""

    user_id: str
    username: str
    issued_at: float


def parse_token(token: str) -> SealedToken | None:
    """The outer token, None when its shape is wrong; costs no RSA."""
    if not _MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH:
        return None
    outer = _decode(token) or b""
    client_id, _, inner = outer.decode("latin-1").partition("|")
    ciphertext = _decode(inner) or b""
    if not _CLIENT_ID.fullmatch(client_id) or len(ciphertext) not in _CIPHERTEXT_LENGTHS:
        return None
    return SealedToken(int(client_id), ciphertext)


def read_claims(plain: bytes, *, client_id: int, now: float) -> Claims:
    """Raises CredentialRefused. A `|` belongs to the name: the first two fields have none."""
    try:
        inner_id, user_id, rest = plain.decode().split("|", 2)
        username, timestamp = rest.rsplit("|", 1)
    except ValueError:
        raise CredentialRefused from None
    if inner_id != str(client_id) or not _is_user_id(user_id):
        raise CredentialRefused
    if not _TIMESTAMP.fullmatch(timestamp) or float(timestamp) > now + MAX_AHEAD_SECONDS:
        raise CredentialRefused
    return Claims(user_id, _CONTROL.sub(" ", username)[:50], float(timestamp))


class TokenOpener:
    """Decrypts tokens in a few threads; parsed keys are kept until their client changes."""

    def __init__(self, master_key: MasterKey) -> None:
        self._master_key = master_key
        self._keys: LRUCache[int, tuple[bytes, RSAPrivateKey]] = LRUCache(256)
        self._threads = CapacityLimiter(_THREADS)
        self._pending = 0

    async def open(self, token: SealedToken, sealed_key: bytes | None) -> bytes:
        """The plain text. Raises CredentialRefused, after the same work whatever is wrong."""
        key = self._parsed(token.client_id, sealed_key) if sealed_key else None
        bits = len(token.ciphertext) * 8
        if key is None or key.key_size != bits:
            await self._run(partial(_decrypt_in_vain, token.ciphertext))
            raise CredentialRefused
        plain = await self._run(partial(_decrypt, key, token.ciphertext))
        if plain is None:
            raise CredentialRefused
        return plain

    async def warm_up(self) -> None:
        """Make the decoy of the usual size, so that the first unknown client takes no longer."""
        await self._run(partial(_decrypt_in_vain, bytes(DEFAULT_BITS // 8)))

    async def _run(self, work: partial[bytes | None]) -> bytes | None:
        if self._pending >= _MAX_PENDING:
            raise Unavailable("Too many logins at once. 登录请求过多，请稍后再试。", retry_after=1)
        self._pending += 1
        try:
            return await run_sync(work, limiter=self._threads)
        finally:
            self._pending -= 1

    def _parsed(self, client_id: int, sealed_key: bytes) -> RSAPrivateKey:
        known = self._keys.get(client_id)
        if known is None or known[0] != sealed_key:
            pem = self._master_key.open(sealed_key, client_id=client_id)
            # We made and sealed this key: checking its primes again would take 70 ms.
            key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
            assert isinstance(key, RSAPrivateKey)
            known = self._keys[client_id] = sealed_key, key
        return known[1]


def _decrypt_in_vain(ciphertext: bytes) -> bytes | None:
    return _decrypt(_decoy(len(ciphertext) * 8), ciphertext)


@cache
def _decoy(bits: int) -> RSAPrivateKey:
    """Nobody's key; one of each size is enough for a process, and making one takes a while."""
    return generate_private_key(65537, bits)


def _decrypt(key: RSAPrivateKey, ciphertext: bytes) -> bytes | None:
    try:
        return key.decrypt(ciphertext, _OAEP)
    except ValueError:
        return None


def _decode(text: str) -> bytes | None:
    """Canonical base64 only: one token has one spelling."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None


def _is_user_id(text: str) -> bool:
    return 0 < len(text) <= 64 and not _CONTROL.search(text)
