"""What every vector index must do: the embedded engine, the client in memory, a server."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from kb_service.vectors import (
    CollectionMismatch,
    Point,
    SparseVector,
    VectorIndex,
    Where,
    open_index,
)
from kb_service.vectors.server import QdrantIndex, connect
from tests.kb_service.qdrant_server import qdrant_server

# The engine in memory says that it has no payload indexes and is always exact.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

CAT, DOG, BIRD, FISH = 11, 22, 33, 4_294_967_295


@dataclass(frozen=True)
class Store:
    """One place where points are kept; every `open` is a new index on it."""

    open: Callable[[], VectorIndex]
    release: Callable[[VectorIndex], Awaitable[None]]


@pytest.fixture(params=["edge", "memory", "http", "server"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    collection = f"test-{uuid.uuid4().hex}"
    if request.param == "edge":
        yield Store(
            lambda: open_index(url=None, api_key=None, folder=tmp_path, collection=collection),
            lambda index: index.close(),
        )
        return
    async with _client(request.param) as client:

        async def keep_client(_: VectorIndex) -> None:
            """The store is the client's, so it stays open."""

        yield Store(lambda: QdrantIndex(client, collection), keep_client)
        await client.delete_collection(collection)


@asynccontextmanager
async def _client(kind: str) -> AsyncIterator[AsyncQdrantClient]:
    """Of the engine in memory, of the same over the REST API, or of a real server."""
    async with AsyncExitStack() as stack:
        if kind == "memory":
            client = AsyncQdrantClient(":memory:")
        elif kind == "http":
            client = connect((await stack.enter_async_context(qdrant_server())).url, None)
        elif url := os.environ.get("QDRANT_URL"):
            client = connect(url, None)
        else:
            pytest.skip("QDRANT_URL names no server")
        stack.push_async_callback(client.close)
        yield client


@pytest.fixture
async def index(store: Store) -> AsyncIterator[VectorIndex]:
    opened = store.open()
    await opened.ensure(None)
    yield opened
    await store.release(opened)


@pytest.fixture
async def hybrid(store: Store) -> AsyncIterator[VectorIndex]:
    opened = store.open()
    await opened.ensure(3)
    yield opened
    await store.release(opened)


def point(
    number: int,
    *terms: int,
    kb_id: int = 1,
    version: str = "v1",
    dense: list[float] | None = None,
    content: str = "",
) -> Point:
    return Point(
        id=str(uuid.UUID(int=number)),
        kb_id=kb_id,
        version=version,
        sparse=sparse(*terms),
        dense=dense,
        payload={
            "chunk_id": str(number),
            "file_name": "手册 a.txt",
            "content": content or f"chunk {number}",
            "metadata": {"page": number, "tags": ["甲", None], "nested": {"x": 1.5}},
        },
    )


def sparse(*terms: int) -> SparseVector:
    return SparseVector(list(terms), [1.0] * len(terms))


async def found(index: VectorIndex, *terms: int, kb_id: int = 1, limit: int = 10) -> list[str]:
    hits = await index.query(kb_id, sparse(*terms), None, limit)
    return [hit.payload["chunk_id"] for hit in hits]


async def test_ensure_again_keeps_what_is_there(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT)])
    await index.ensure(None)
    assert await index.count(1) == 1


async def test_another_dense_size_is_refused(store: Store) -> None:
    first = store.open()
    await first.ensure(3)
    await store.release(first)
    second = store.open()
    with pytest.raises(CollectionMismatch):
        await second.ensure(4)
    await store.release(second)


async def test_a_hit_carries_the_whole_payload_and_nothing_else(index: VectorIndex) -> None:
    stored = point(1, CAT, version="v7", content="猫\u0000𠮷 <b>")
    await index.upsert([stored])
    (hit,) = await index.query(1, sparse(CAT), None, 10)
    assert (hit.id, hit.version, hit.payload) == (stored.id, "v7", stored.payload)
    assert hit.similarity is None


async def test_upserting_an_id_again_replaces_the_point(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT, content="old")])
    await index.upsert([point(1, DOG, content="new")])
    assert await index.count(1) == 1
    assert await found(index, CAT) == []
    (hit,) = await index.query(1, sparse(DOG), None, 10)
    assert hit.payload["content"] == "new"


async def test_many_points_at_once_are_all_stored(index: VectorIndex) -> None:
    await index.upsert([point(number, CAT, number + 100) for number in range(1, 178)])
    assert await index.count(1) == 177
    assert await found(index, 100 + 177) == ["177"]


async def test_no_points_are_stored_without_complaint(index: VectorIndex) -> None:
    await index.upsert([])
    assert await index.count(1) == 0


async def test_deleting_a_version_leaves_the_others(index: VectorIndex) -> None:
    await index.upsert(
        [
            point(1, CAT, version="v1"),
            point(2, CAT, version="v2"),
            point(3, CAT, version="v1", kb_id=2),
        ]
    )
    await index.delete(1, "v1")
    assert await found(index, CAT) == ["2"]
    assert (await index.count(1), await index.count(1, "v1"), await index.count(2)) == (1, 0, 1)


async def test_deleting_a_knowledge_base_leaves_the_others(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT), point(2, CAT, version="v2"), point(3, CAT, kb_id=2)])
    await index.delete(1)
    assert (await index.count(1), await index.count(2)) == (0, 1)


async def test_deleting_many_points_deletes_all_of_them(index: VectorIndex) -> None:
    await index.upsert([point(n, CAT, version=f"v{n % 2}") for n in range(1, 1003)])
    await index.delete(1, "v1")
    assert (await index.count(1), await index.count(1, "v1")) == (501, 0)


async def test_deleting_what_is_not_there_changes_nothing(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT)])
    await index.delete(1, "never")
    await index.delete(99)
    assert await index.count(1) == 1


async def test_removing_single_points_leaves_the_others(index: VectorIndex) -> None:
    await index.upsert([point(number, CAT) for number in range(3)])
    await index.remove(1, [point(1).id, point(9).id])
    await index.remove(2, [point(2).id])
    await index.remove(1, [])
    assert sorted(await found(index, CAT)) == ["0", "2"]


async def test_count_by_version(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT), point(2, CAT), point(3, CAT, version="v2")])
    assert (await index.count(1, "v1"), await index.count(1, "v2")) == (2, 1)
    assert await index.count(42) == 0


async def test_the_limit_holds_and_rare_terms_come_first(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT, FISH), *(point(n, CAT) for n in range(2, 9))])
    answer = await found(index, CAT, FISH, limit=3)
    assert len(answer) == 3
    assert answer[0] == "1"


async def test_unknown_terms_and_no_terms_find_nothing(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT)])
    assert await found(index, BIRD) == []
    assert await found(index) == []


async def test_a_query_sees_its_own_knowledge_base_only(index: VectorIndex) -> None:
    await index.upsert([point(1, CAT), *(point(n, CAT, kb_id=2) for n in range(2, 40))])
    assert await found(index, CAT, limit=50) == ["1"]
    assert await found(index, CAT, kb_id=3) == []
    assert await found(index, CAT, kb_id=12) == []


async def test_another_tenants_upload_does_not_reorder_results(index: VectorIndex) -> None:
    """CAT is rarer than DOG here; in the other knowledge base it is the other way round."""
    await index.upsert(
        [point(1, CAT), point(2, DOG), point(3, DOG), point(4, BIRD), point(5, BIRD)]
    )
    before = await found(index, CAT, DOG)
    assert before[0] == "1"
    await index.upsert([point(n, CAT, kb_id=2) for n in range(100, 300)])
    assert await found(index, CAT, DOG) == before


async def test_a_large_knowledge_base_is_isolated_too(index: VectorIndex) -> None:
    """More points than the engine scans one by one, so that its inverted index answers."""
    await index.upsert([point(n, CAT if n % 3 else DOG, 100 + n % 7) for n in range(1, 1501)])
    await index.upsert([point(n, DOG, kb_id=2) for n in range(5001, 7001)])
    numbers = [int(number) for number in await found(index, CAT, DOG, 101, limit=20)]
    assert all(number <= 1500 and number % 3 == 0 for number in numbers), "DOG is rarer here"


async def test_hybrid_fuses_words_and_meaning(hybrid: VectorIndex) -> None:
    await hybrid.upsert(
        [
            point(1, CAT, dense=[-1.0, 0.0, 0.0]),
            point(2, DOG, dense=[1.0, 0.0, 0.0]),
            point(3, CAT, DOG, dense=[0.9, 0.1, 0.0]),
            point(4, BIRD, dense=[0.0, 1.0, 0.0]),
        ]
    )
    hits = await hybrid.query(1, sparse(CAT), [1.0, 0.0, 0.0], 3)
    order = [hit.payload["chunk_id"] for hit in hits]
    assert order[0] == "3", "in both lists"
    assert set(order) == {"1", "2", "3"}


async def test_hybrid_tells_the_cosine_of_every_hit(hybrid: VectorIndex) -> None:
    """Also of the one that only words found."""
    await hybrid.upsert(
        [point(1, CAT, dense=[0.0, 0.0, 2.0]), point(2, DOG, dense=[3.0, 0.0, 0.0])]
    )
    hits = await hybrid.query(1, sparse(CAT), [1.0, 0.0, 0.0], 2)
    cosines = {hit.payload["chunk_id"]: hit.similarity for hit in hits}
    assert cosines == pytest.approx({"1": 0.0, "2": 1.0}, abs=1e-6)


async def test_hybrid_sees_its_own_knowledge_base_only(hybrid: VectorIndex) -> None:
    same = [1.0, 0.0, 0.0]
    await hybrid.upsert(
        [point(1, CAT, dense=same), *(point(n, CAT, dense=same, kb_id=2) for n in range(2, 30))]
    )
    hits = await hybrid.query(1, sparse(CAT), same, 20)
    assert [hit.payload["chunk_id"] for hit in hits] == ["1"]


async def test_hybrid_on_an_empty_knowledge_base_finds_nothing(hybrid: VectorIndex) -> None:
    assert await hybrid.query(1, sparse(CAT), [1.0, 0.0, 0.0], 5) == []


async def test_words_alone_search_a_collection_with_dense_vectors(hybrid: VectorIndex) -> None:
    await hybrid.upsert([point(1, CAT, dense=[0.0, 0.0, 1.0])])
    assert await found(hybrid, CAT) == ["1"]


def labelled(number: int, file_name: str, *tags: str, uploaded: int = 0, kb_id: int = 1) -> Point:
    plain = point(number, CAT, kb_id=kb_id, version=file_name, dense=[1.0, 0.0, float(number)])
    payload = plain.payload | {"file_name": file_name, "tags": list(tags), "uploaded": uploaded}
    return replace(plain, payload=payload)


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        (Where(), {1, 2, 3}),
        (Where(file_names=("甲.pdf", "nothing.txt")), {1}),
        (Where(tags=("人事", "财务")), {1, 2}),
        (Where(tags=("人事",), file_names=("乙.pdf",)), {2}),
        (Where(uploaded_from=200), {2, 3}),
        (Where(uploaded_from=200, uploaded_to=200.5), {2}),
        (Where(page_from=2, page_to=2), {2}),
        (Where(page_to=2, tags=("人事",)), {1, 2}),
        (Where(tags=("none",)), set()),
    ],
)
async def test_only_points_like_that_are_found(
    hybrid: VectorIndex, where: Where, numbers: set[int]
) -> None:
    await hybrid.upsert(
        [
            labelled(1, "甲.pdf", "人事", "财务", uploaded=100),
            labelled(2, "乙.pdf", "人事", uploaded=200),
            labelled(3, "丙.pdf", uploaded=300),
            labelled(4, "甲.pdf", "人事", uploaded=200, kb_id=2),
        ]
    )
    for dense in (None, [1.0, 0.0, 0.0]):
        hits = await hybrid.query(1, sparse(CAT), dense, 10, where)
        assert {int(hit.payload["chunk_id"]) for hit in hits} == numbers


async def test_labels_change_and_all_else_stays(hybrid: VectorIndex) -> None:
    many = [replace(labelled(n, "甲.pdf", "old"), version="v") for n in range(1, 124)]
    await hybrid.upsert([*many, labelled(500, "乙.pdf", "old")])
    await hybrid.relabel(1, "v", {"tags": ["new", "更新"]})
    await hybrid.relabel(1, "nothing", {"tags": ["new"]})
    hits = await hybrid.query(1, sparse(CAT), [1.0, 0.0, 1.0], 200, Where(tags=("更新",)))
    assert len(hits) == 123
    first = next(hit for hit in hits if hit.payload["chunk_id"] == "1")
    assert first.payload == many[0].payload | {"tags": ["new", "更新"]}
    assert first.similarity == pytest.approx(1.0)
    (other,) = await hybrid.query(1, sparse(CAT), None, 200, Where(tags=("old",)))
    assert other.payload["chunk_id"] == "500"


async def test_reopened_it_has_everything(store: Store) -> None:
    first = store.open()
    await first.ensure(None)
    await first.upsert([point(n, CAT, 100 + n) for n in range(1, 120)])
    await first.delete(1, "other")
    await store.release(first)
    second = store.open()
    await second.ensure(None)
    assert await second.count(1) == 119
    assert await found(second, 100 + 77) == ["77"]
    await store.release(second)
