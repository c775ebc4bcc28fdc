"""Vectors of texts that were embedded before are kept: indexing the same again costs no call."""

import sys
from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from cachetools import LRUCache

from kb_service.embeddings import Embedded, Embedder, EmbedderKind
from kb_service.entities import KeptVector

KEY_BYTES = 20
_QUESTIONS = 512


class VectorCache(Protocol):
    """Keeps vectors over restarts, the most recently used ones."""

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, KeptVector]: ...

    async def keep(self, found: Mapping[bytes, KeptVector]) -> None: ...


class CachedEmbedder:
    """An embedder that is asked only what it was not asked before."""

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self._embedder, self._cache = embedder, cache
        self.model, self.fingerprint = embedder.model, embedder.fingerprint
        self.kind: EmbedderKind = embedder.kind
        self._questions: LRUCache[str, array[float]] = LRUCache(_QUESTIONS)

    @property
    def size(self) -> int | None:
        return self._embedder.size

    @size.setter
    def size(self, size: int | None) -> None:
        self._embedder.size = size

    @property
    def is_ready(self) -> bool:
        return self._embedder.is_ready

    async def embed(self, texts: Sequence[str]) -> Embedded:
        keys = [self._key(text) for text in texts]
        kept = await self._cache.find(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        tokens = 0
        if new:
            made = await self._embedder.embed(list(new.values()))
            tokens = made.tokens
            found = {
                key: KeptVector(_packed(vector), number in made.cut)
                for number, (key, vector) in enumerate(zip(new, made.vectors, strict=True))
            }
            await self._cache.keep(found)
            kept |= found
        vectors = [_unpacked(kept[key].vector).tolist() for key in keys]
        cut = frozenset(number for number, key in enumerate(keys) if kept[key].is_cut)
        self.size = self.size or (len(vectors[0]) if vectors else None)
        return Embedded(vectors, cut, tokens)

    async def embed_query(self, text: str) -> list[float]:
        """Questions are kept for as long as the process runs: many ask the same ones."""
        if (known := self._questions.get(text)) is not None:
            return known.tolist()
        vector = await self._embedder.embed_query(text)
        self._questions[text] = array("f", vector)
        return vector

    async def warm(self) -> None:
        await self._embedder.warm()

    async def close(self) -> None:
        await self._embedder.close()

    def _key(self, text: str) -> bytes:
        digest = blake2b(digest_size=KEY_BYTES)
        digest.update(self.fingerprint.encode())
        digest.update(b"\0")
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()


def _packed(vector: Sequence[float]) -> bytes:
    return _little_endian(array("f", vector)).tobytes()


def _unpacked(stored: bytes) -> "array[float]":
    numbers = array("f")
    numbers.frombytes(stored)
    return _little_endian(numbers)


def _little_endian(numbers: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
