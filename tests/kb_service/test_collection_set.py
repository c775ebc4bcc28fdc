"""The collections of an installation, opened when they are needed."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings import Embedded, EmbedderKind
from kb_service.embeddings.available import LEXICAL, Embedders
from kb_service.search import Search
from kb_service.settings import KbSettings
from kb_service.store import VersionStore
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, SparseVector, Where
from kb_service.vectors.edge import EdgeIndex
from servicekit.database import Database, sqlite_url

POINT = Point(
    id="00000000-0000-0000-0000-000000000001",
    kb_id=1,
    version="v",
    sparse=SparseVector([1], [1.0]),
    dense=[1.0, 0.0],
    payload={"tags": []},
)


class Alike:
    """Takes all texts for alike, so it knows no language."""

    model, fingerprint, is_ready = "alike", "alike", True
    kind: EmbedderKind = "local"
    size: int | None = 2

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return Embedded([[1.0, 0.0] for _ in texts])

    async def embed_query(self, text: str) -> list[float]:
        return [1.0, 0.0]

    async def warm(self) -> None: ...
    async def close(self) -> None: ...


class SlowIndex(EdgeIndex):
    """Answers when it is told to."""

    def __init__(self, folder: Path, answers: asyncio.Event) -> None:
        super().__init__(folder)
        self._answers = answers

    async def ping(self) -> None:
        await self._answers.wait()


@pytest.fixture
async def measures(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> AsyncIterator[VersionStore]:
    make_settings()
    database = Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")
    yield VersionStore(database)
    await database.close()


async def test_what_one_process_measures_the_others_know(
    measures: VersionStore, tmp_path: Path
) -> None:
    embedders, index = Embedders([Alike()]), EdgeIndex(tmp_path / "index")
    name = embedders.default.collection
    first, second = (CollectionSet(embedders, lambda _: index, measures) for _ in range(2))
    await second.open(name)
    assert (await second.embed([name], "how much leave"))[name], "nothing is known of the model"
    await first.upsert(name, [POINT])
    assert await second.embed([name], "how much leave") == {name: None}, "by words alone"
    await index.close()


@pytest.mark.parametrize("moved", ["right", "wrong"])
async def test_during_a_move_the_nearest_passage_comes_first(tmp_path: Path, moved: str) -> None:
    texts = {"wrong": "每年体检一次。", "right": "员工每年有十天年假。"}
    collections = CollectionSet(Embedders([Alike()]), lambda name: EdgeIndex(tmp_path / name))
    catalog, names = LiveCatalog(), Embedders([Alike()])
    for number, (version, text) in enumerate(texts.items()):
        name = names.default.collection if version == moved else Embedders().default.collection
        counts = Counter(terms(text))
        content = {"chunk_id": version, "file_name": version, "content": text, "metadata": {}}
        point = Point(
            id=str(uuid.UUID(int=number)),
            kb_id=1,
            version=version,
            sparse=sparse_vector(counts),
            dense=[1.0, 0.0] if version == moved else None,
            payload=content,
        )
        await collections.upsert(name, [point])
        catalog.publish(1, version, term_counts=counts, chunks=1, collection=name)
    found = await Search(collections, catalog).search(
        1, "员工每年几天年假", top_k=2, score_threshold=2
    )
    assert [passage.file_name for passage in found] == ["right", "wrong"]
    await collections.close()


async def test_points_that_another_process_stored_are_relabelled(tmp_path: Path) -> None:
    embedders, index = Embedders([Alike()]), EdgeIndex(tmp_path)
    name = embedders.default.collection
    first, second = (CollectionSet(embedders, lambda _: index) for _ in range(2))
    await first.upsert(name, [POINT])
    await second.relabel(name, 1, "v", {"tags": ["new"]})
    assert await index.query(1, POINT.sparse, None, 1, Where(tags=("new",)))
    await index.close()


async def test_a_collection_may_be_opened_while_others_are_asked(tmp_path: Path) -> None:
    answers, embedders = asyncio.Event(), Embedders([Alike()])
    collections = CollectionSet(embedders, lambda name: SlowIndex(tmp_path / name, answers))
    await collections.open(LEXICAL)
    asking = asyncio.create_task(collections.ping())
    await asyncio.sleep(0)
    await collections.open(embedders.default.collection)
    answers.set()
    await asking
    await collections.close()
