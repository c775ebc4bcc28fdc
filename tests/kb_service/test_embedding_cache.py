"""Vectors that were made before: nobody pays twice, and the store does not grow for ever."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kb_service.embeddings import Embedded, EmbedderKind
from kb_service.embeddings.cached import CachedEmbedder
from kb_service.entities import KeptVector
from kb_service.settings import KbSettings
from kb_service.store import EmbeddingStore
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import connected
from tests.kb_service.gate import gated

Make = Callable[..., KbSettings]


async def test_indexing_the_same_again_costs_no_call(make_settings: Make) -> None:
    files = [(f"{n}.txt", f"第{n}条规定。".encode()) for n in range(3)]
    body = {"knowledge_base_name": "kb1"}
    async with gated() as gate:
        async with connected(gate.settings(make_settings, embedding_cache_mb=1)) as kb:
            await kb.create()
            await kb.uploaded(*files)
            asked = len(gate.texts)
            await kb.uploaded(*files, override="true")
            await kb.post("/knowledge_base/recreate_vector_store", body)
        async with connected(gate.settings(make_settings, embedding_cache_mb=1)) as kb:
            await kb.post("/knowledge_base/delete_knowledge_base", "kb1")
            await kb.create("kb2")
            await kb.uploaded(*files, kb="kb2")
            assert len(gate.texts) == asked
            await kb.uploaded(("4.txt", b"something new"), kb="kb2")
            assert len(gate.texts) == asked + 1


@pytest.fixture
async def database(make_settings: Make, tmp_path: Path) -> Database:
    make_settings()
    return Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")


class Lengths:
    """Counts its calls; `x` is too long for it."""

    model, is_ready = "lengths", True
    kind: EmbedderKind = "endpoint"

    def __init__(self, fingerprint: str = "lengths") -> None:
        self.fingerprint = fingerprint
        self.size: int | None = None
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.asked += texts
        vectors = [[float(len(text)), 0.1] for text in texts]
        return Embedded(vectors, frozenset(n for n, text in enumerate(texts) if text == "x"), 5)

    async def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return [0.5, float(len(text))]

    async def warm(self) -> None: ...
    async def close(self) -> None: ...


async def test_only_what_is_new_is_asked_for(database: Database) -> None:
    store = EmbeddingStore(database, megabytes=1)
    embedder = Lengths()
    first = CachedEmbedder(embedder, store)
    embedded = await first.embed(["aa", "x", "aa"])
    assert embedder.asked == ["aa", "x"], "also within one batch"
    assert (embedded.cut, embedded.tokens) == (frozenset({1}), 5)
    again = await CachedEmbedder(Lengths(), store).embed(["x", "bbb", "aa"])
    assert [vector[0] for vector in again.vectors] == [1.0, 3.0, 2.0]
    assert [vector[1] for vector in again.vectors] == pytest.approx([0.1] * 3)
    assert again.cut == {0}
    other = Lengths("another model")
    await CachedEmbedder(other, store).embed(["aa"])
    assert other.asked == ["aa"], "vectors of two models are never mixed"
    for _ in range(2):
        assert await first.embed_query("问题") == [0.5, 2.0]
    assert embedder.asked == ["aa", "x", "问题"]
    await database.close()


async def test_what_was_used_longest_ago_is_forgotten(database: Database) -> None:
    days = [0]
    store = EmbeddingStore(database, megabytes=1, today=lambda: days[-1])
    keys = [bytes([number]) * 20 for number in range(14)]
    for key in keys:
        days.append(len(days))
        await store.keep({key: KeptVector(bytes(100_000), False)})
    days.append(20)
    assert set(await store.find(keys[:2])) == set(keys[:2])  # used again
    assert await store.trim() == 4
    assert set(await store.find(keys)) == {*keys[:2], *keys[6:]}
    assert await store.trim() == 0
    nothing = EmbeddingStore(database, megabytes=0)
    async with asyncio.timeout(20):
        forgotten = await asyncio.gather(nothing.trim(), nothing.trim())
    assert sum(forgotten) == 10, "two processes that forget at the same time come to an end"
    await database.close()
