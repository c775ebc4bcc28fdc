"""What a chat is given: neighbours as one passage, nothing twice, more than one file."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import Hidden
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.rerank import Reranker
from kb_service.search import Passage, Search
from kb_service.splitters import split_document
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, VectorIndex, open_index
from servicekit.errors import UpstreamError
from tests.kb_service.conftest import OWNER, READER, STRANGER, Kb

KB = 7
DOCUMENT = (
    "1 假期规定\n年假甲款，年假乙款，年假丙款，年假丁款。年假戊款，年假己款。年假庚款，年假辛款。"
)
TABLE = "|条款|天数|\n|---|---|\n|年假甲款|1|\n|年假乙款|2|\n|年假丙款|3|\n|年假丁款|4|"
DOCUMENTS = {"table": TABLE, "markdown": DOCUMENT.replace("1 ", "# ")}
Chunk = tuple[str, dict[str, Any]]


@dataclass
class Base:
    """A knowledge base with live files."""

    index: VectorIndex
    catalog: LiveCatalog = field(default_factory=LiveCatalog)

    async def add(
        self, name: str, *chunks: str | Chunk, at: int = 0, context: Sequence[str] = ()
    ) -> None:
        cut = [(chunk, {}) if isinstance(chunk, str) else chunk for chunk in chunks]
        points = [
            Point(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{number}")),
                kb_id=KB,
                version=name,
                sparse=sparse_vector(Counter(terms(content))),
                dense=None,
                payload={
                    "chunk_id": f"{name}-{number}",
                    "position": number,
                    "file_name": name,
                    "content": content,
                    "metadata": metadata,
                }
                | ({"context": context[number]} if context else {}),
            )
            for number, (content, metadata) in enumerate(cut, at)
        ]
        await self.index.upsert(points)
        counts = Counter(term for content, _ in cut for term in set(terms(content)))
        self.catalog.publish(KB, name, term_counts=counts, chunks=len(cut))

    async def ask(
        self, query: str, top_k: int = 3, reranker: Reranker | None = None, **options: Any
    ) -> list[Passage]:
        search = Search(CollectionSet(Embedders(), lambda _: self.index), self.catalog, reranker)
        return await search.passages(KB, query, top_k=top_k, **({"score_threshold": 2} | options))

    async def texts(self, query: str, top_k: int = 3) -> list[str]:
        return [passage.content for passage in await self.ask(query, top_k)]


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[Base]:
    index = open_index(url=None, api_key=None, folder=tmp_path, collection="c")
    await index.ensure(None)
    yield Base(index)
    await index.close()


def cut(text: str, splitter: str, **options: Any) -> list[CustomDoc]:
    chosen = ChunkOptions(20, 8, splitter=splitter, **options)
    return list(split_document([Section(text)], chosen))


async def test_neighbours_are_one_passage_in_the_order_of_reading(base: Base) -> None:
    await base.add(
        "a.pdf",
        ("报销须知。", {"page": 1}),
        ("年假十天。", {"page": 12}),
        ("年假可分次休。", {"page": 13}),
    )
    await base.add("b.txt", "年假见附件。")
    first, second = await base.ask("年假分次休")
    assert (first.file_name, first.content) == ("a.pdf", "年假十天。\n年假可分次休。")
    assert (first.metadata, first.chunk_ids) == (
        {"page": 12, "page_to": 13},
        ("a.pdf-1", "a.pdf-2"),
    )
    assert first.chunk_id == "a.pdf-2", "the one that was found first"
    assert second.content == "年假见附件。"


async def test_the_score_of_several_is_the_best(base: Base) -> None:
    await base.add("a.txt", "年假可分次休。", "年假。", at=4)
    (passage,) = await base.ask("年假可分次休")
    assert passage.score == 0


@pytest.mark.parametrize(
    ("splitter", "options"),
    [
        ("recursive", {}),
        ("recursive", {"zh_title_enhance": True}),
        ("markdown", {"heading_prefix": True}),
        ("fixed", {}),
        ("sentence_window", {"window": 1}),
        ("table", {}),
    ],
)
async def test_what_neighbours_share_is_said_once(
    base: Base, splitter: str, options: dict[str, Any]
) -> None:
    chunks = cut(DOCUMENTS.get(splitter, DOCUMENT), splitter, **options)
    assert len(chunks) > 1
    contexts = [doc.context for doc in chunks if doc.context]
    await base.add("a.txt", *(doc.content for doc in chunks), context=contexts)
    (passage,) = await base.ask("年假条款", top_k=20)
    for name in "甲乙丙丁":
        assert passage.content.count(f"年假{name}款") == 1, passage.content
    assert passage.content.count("假期规定") <= 1


async def test_merging_leaves_room_for_others(base: Base) -> None:
    """What became one passage uses one place, so an answer gets more to read and never less."""
    await base.add("a.txt", "年假甲款。", "年假乙款。", "别的。", "年假丙款。")
    await base.add("b.txt", "年假丁款说明。")
    assert sorted(await base.texts("年假", top_k=3)) == [
        "年假丁款说明。",
        "年假丙款。",
        "年假甲款。\n年假乙款。",
    ]


async def test_passages_stay_short_enough_to_read(base: Base) -> None:
    chunks = [f"年假{n}" + "详" * 240 for n in range(12)]
    await base.add("a.txt", *chunks)
    passages = await base.ask("年假", top_k=20)
    assert max(len(passage.content) for passage in passages) <= 1_000
    assert sum(len(passage.chunk_ids) for passage in passages) == 12
    assert len(passages) < 6


@pytest.mark.parametrize("key", ["title", "sheet", "row"])
async def test_what_is_about_something_else_stays_apart(base: Base, key: str) -> None:
    await base.add("a.txt", ("年假甲款。", {key: 1}), ("年假乙款。", {key: 2}))
    assert sorted(await base.texts("年假")) == ["年假乙款。", "年假甲款。"]


async def test_chunks_of_other_files_and_others_between_them_stay_apart(base: Base) -> None:
    await base.add("a.txt", "年假甲款。", "年假乙款。", at=0)
    await base.add("b.txt", "年假丙款。", at=2)
    await base.add("c.txt", "年假丁款。", "会议室。", "年假戊款。")
    assert len(await base.texts("年假", top_k=9)) == 4


async def test_an_edited_chunk_stands_where_the_old_one_stood(base: Base) -> None:
    await base.add("a.txt", "年假甲款。", "年假旧款。", "年假丙款。")
    gone = Hidden("a.txt-1", 1, "年假旧款。", None, "年假新款。", frozenset(terms("年假旧款。")))
    base.catalog.hide(KB, "a.txt", gone)
    await base.add("overlay", "年假新款。", at=1)
    base.catalog.place(KB, "overlay", "a.txt", 1)
    assert await base.texts("年假") == ["年假甲款。\n年假新款。\n年假丙款。"]


async def test_copies_are_shown_once_and_other_figures_are_no_copy(base: Base) -> None:
    await base.add("a.txt", "年假为 10 天，可以分次休。")
    await base.add("b.docx", "年假为１０天， 可以分次休！")
    await base.add("c.txt", "年假为 15 天，可以分次休。")
    await base.add("d.txt", "年假为10天")
    found = await base.ask("年假为10天可以分次休", top_k=9)
    assert len(found) == 2
    assert {one.file_name for one in found} & {"a.txt", "b.docx"}
    assert "c.txt" in {one.file_name for one in found}


async def test_one_file_does_not_take_every_place(base: Base) -> None:
    many = [(f"年假规定{n}的说明。", {"row": n}) for n in range(8)]
    await base.add("a.txt", *many)
    await base.add("b.txt", "年假规定的补充说明和其他。")
    files = [passage.file_name for passage in await base.ask("年假规定", top_k=3)]
    assert files == ["a.txt", "a.txt", "b.txt"]
    assert {one.file_name for one in await base.ask("年假规定", top_k=2)} == {"a.txt"}


async def test_a_file_that_knows_less_takes_no_place(base: Base) -> None:
    await base.add("a.txt", *[(f"年假规定{n}的说明。", {"row": n}) for n in range(8)])
    await base.add("b.txt", "规定从略，另见通知原文及附件所列各项。")
    assert {one.file_name for one in await base.ask("年假规定", top_k=4)} == {"a.txt"}


class Judge:
    """Finds the longest text most relevant, or fails."""

    model, seconds = "judge", 2.0

    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._fails = fails

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked = list(texts)
        if self._fails:
            raise UpstreamError("away")
        return [float(len(text)) for text in texts]


async def test_a_reranker_decides_the_order_and_no_distance(base: Base) -> None:
    await base.add("a.txt", "年假一。")
    await base.add("b.txt", "年假的规定很长，很长，很长。")
    plain, judged = await base.ask("年假"), await base.ask("年假", reranker=Judge())
    assert [one.file_name for one in plain] == ["a.txt", "b.txt"]
    assert [(one.file_name, one.relevance) for one in judged] == [("b.txt", 14.0), ("a.txt", 4.0)]
    assert {one.file_name: one.score for one in judged} == {
        one.file_name: one.score for one in plain
    }


async def test_a_reranker_reads_more_than_is_given(base: Base) -> None:
    await base.add("a.txt", *[(f"年假{n}", {"row": n}) for n in range(60)])
    judge = Judge()
    await base.ask("年假", 2, judge)
    assert len(judge.asked) == 8
    await base.ask("年假", 40, judge)
    assert len(judge.asked) == 50


async def test_without_a_working_reranker_the_order_stays(base: Base) -> None:
    await base.add("a.txt", "年假一。")
    await base.add("b.txt", "年假的规定很长。")
    plain = await base.ask("年假")
    assert await base.ask("年假", reranker=Judge(fails=True)) == plain
    unasked = Judge()
    assert await base.ask("年假", reranker=unasked, rerank=False) == plain
    assert unasked.asked == []


async def test_a_search_that_explains_itself(kb: Kb) -> None:
    await kb.create(who=OWNER)
    await kb.uploaded(
        ("a.txt", "员工每年享有十天年假。".encode()), ("b.txt", "报销在周二审核。".encode())
    )
    path = "/admin/knowledge-bases/kb1/search"
    answer = await kb.post(path, {"query": "年假", "rerank": True}, OWNER)
    (item,) = answer.json()["items"]
    assert (item["file_name"], item["by_meaning"], item["relevance"]) == ("a.txt", None, None)
    assert item["score"] == item["by_words"] < 1
    assert "年假" in [item["content"][start:end] for start, end in item["highlights"]]
    assert item["found_by"] == ["words"]
    assert (answer.json()["reranked"], answer.json()["took_ms"] > 0) == (False, True)
    nothing = await kb.post(path, {"query": "年假", "filter": {"tags": ["x"]}}, OWNER)
    assert (
        nothing.json()["items"]
        == (await kb.post(path, {"query": "你好"}, OWNER)).json()["items"]
        == []
    )
    assert (await kb.post(path, {"query": "年假"}, STRANGER)).status_code == 404
    assert (await kb.post(path, {"query": "年假"}, READER)).status_code == 403
    counted = await kb.get("/admin/knowledge-bases/kb1/statistics", OWNER)
    assert counted.json()["searches"] == 0, "looking is no search of a user"
