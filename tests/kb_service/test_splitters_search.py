"""Chunks with a context: found by what they say, answered with what is around them."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.search import Passage, Search
from kb_service.splitters import split_document
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, VectorIndex, open_index

KB = 7
MANUAL = (
    "员工每年享有十天年假。年假须提前申请。病假凭证明批准。\n\n差旅住宿标准为五百元。超出部分自理。"
)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[VectorIndex]:
    opened = open_index(url=None, api_key=None, folder=tmp_path, collection="c")
    await opened.ensure(None)
    yield opened
    await opened.close()


async def live(index: VectorIndex, *documents: Sequence[CustomDoc]) -> Search:
    catalog = LiveCatalog()
    for number, docs in enumerate(documents):
        points = [
            Point(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}/{at}")),
                kb_id=KB,
                version=f"v{number}",
                sparse=sparse_vector(Counter(terms(doc.content))),
                dense=None,
                payload={
                    "chunk_id": f"{number}-{at}",
                    "file_name": f"{number}.txt",
                    "content": doc.content,
                    "metadata": doc.metadata,
                }
                | ({"context": doc.context} if doc.context else {}),
            )
            for at, doc in enumerate(docs)
        ]
        await index.upsert(points)
        counts = Counter(term for doc in docs for term in set(terms(doc.content)))
        catalog.publish(KB, f"v{number}", term_counts=counts, chunks=len(docs))
    return Search(CollectionSet(Embedders(), lambda _: index), catalog)


def cut(splitter: str, size: int = 15) -> list[CustomDoc]:
    options = ChunkOptions(size, 0, splitter=splitter, parent_size=30, window=1)
    return list(split_document([Section(MANUAL)], options))


async def ask(search: Search, question: str, top_k: int = 3) -> list[Passage]:
    return await search.search(KB, question, top_k=top_k, score_threshold=1)


async def test_several_children_give_their_parent_once(index: VectorIndex) -> None:
    search = await live(index, cut("parent_child"))
    (passage,) = await ask(search, "年假几天，怎么申请？")
    assert passage.content == "员工每年享有十天年假。年假须提前申请。病假凭证明批准。"


async def test_the_score_is_that_of_the_child_that_fits_best(index: VectorIndex) -> None:
    children = await live(index, cut("parent_child"))
    (passage,) = await ask(children, "病假凭证明批准")
    assert passage.score == 0


async def test_a_sentence_comes_with_its_neighbours_and_not_twice(index: VectorIndex) -> None:
    search = await live(index, cut("sentence_window"))
    (passage,) = await search.search(KB, "年假", top_k=3, score_threshold=0.5)
    assert passage.content == "员工每年享有十天年假。年假须提前申请。"


async def test_hits_of_one_parent_do_not_hide_the_next(index: VectorIndex) -> None:
    parent = "年假说明" * 20
    many = [CustomDoc(f"年假 {n}", {}, parent) for n in range(60)]
    search = await live(index, [*many, CustomDoc("年假另见附件三的详细说明。", {})])
    passages = await search.search(KB, "年假", top_k=2, score_threshold=2)
    assert [passage.content for passage in passages] == [parent, "年假另见附件三的详细说明。"]


async def test_chunks_without_a_context_answer_with_themselves(index: VectorIndex) -> None:
    search = await live(
        index, [CustomDoc("年假为五天。", {}), CustomDoc("年假为五天。另有三天福利假。", {})]
    )
    passages = await ask(search, "年假五天")
    assert {passage.content for passage in passages} == {
        "年假为五天。",
        "年假为五天。另有三天福利假。",
    }
