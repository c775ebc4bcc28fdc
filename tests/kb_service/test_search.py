"""Search over live versions, on the embedded engine."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings import Embedded, EmbedderKind
from kb_service.embeddings.available import Embedders
from kb_service.search import Search
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Hit, Point, SparseVector, VectorIndex, Where, open_index
from kb_service.wording import Lexicon
from servicekit.errors import UpstreamError

KB = 7


@dataclass
class Base:
    """A knowledge base under test; `put` indexes a version without making it live."""

    index: VectorIndex
    catalog: LiveCatalog = field(default_factory=LiveCatalog)

    async def put(
        self, version: str, *contents: str, kb_id: int = KB, dense: Sequence[list[float]] = ()
    ) -> Counter[str]:
        points = [
            Point(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kb_id}/{version}/{number}")),
                kb_id=kb_id,
                version=version,
                sparse=sparse_vector(Counter(terms(content))),
                dense=dense[number] if dense else None,
                payload={
                    "chunk_id": f"{version}-{number}",
                    "file_name": f"{version}.txt",
                    "content": content,
                    "metadata": {"row": number},
                },
            )
            for number, content in enumerate(contents)
        ]
        await self.index.upsert(points)
        return Counter(term for content in contents for term in set(terms(content)))

    async def publish(self, version: str, *contents: str, kb_id: int = KB) -> None:
        counts = await self.put(version, *contents, kb_id=kb_id)
        self.catalog.publish(kb_id, version, term_counts=counts, chunks=len(contents))

    async def ask(
        self, question: str, *, top_k: int = 3, threshold: float = 1, kb_id: int = KB
    ) -> list[str]:
        search = search_of(self)
        passages = await search.search(kb_id, question, top_k=top_k, score_threshold=threshold)
        return [passage.content for passage in passages]


def search_of(base: Base, embedder: "Embedder | None" = None) -> Search:
    embedders = Embedders([embedder] if embedder else [])
    return Search(CollectionSet(embedders, lambda _: base.index), base.catalog)


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[Base]:
    index = open_index(url=None, api_key=None, folder=tmp_path, collection="c")
    await index.ensure(None)
    yield Base(index)
    await index.close()


async def test_a_passage_is_what_was_stored_with_a_score(base: Base) -> None:
    await base.publish("v1", "年假为五天。", "报销在周二审核。")
    search = search_of(base)
    (passage,) = await search.search(KB, "年假几天？", top_k=3, score_threshold=1)
    assert (passage.chunk_id, passage.file_name) == ("v1-0", "v1.txt")
    assert (passage.content, passage.metadata) == ("年假为五天。", {"row": 0})
    assert 0 <= passage.score <= 1


async def test_what_is_not_live_is_not_found(base: Base) -> None:
    await base.put("v1", "年假为五天。")
    assert await base.ask("年假") == []
    await base.publish("v2", "年假为十天。")
    assert await base.ask("年假") == ["年假为十天。"]


async def test_replacing_shows_exactly_one_version_at_every_moment(base: Base) -> None:
    await base.publish("v1", "年假为五天。")
    counts = await base.put("v2", "年假为十天。")
    assert await base.ask("年假") == ["年假为五天。"]
    base.catalog.publish(KB, "v2", term_counts=counts, chunks=1)
    base.catalog.withdraw(KB, "v1")
    assert await base.ask("年假") == ["年假为十天。"]
    await base.index.delete(KB, "v1")
    assert await base.ask("年假") == ["年假为十天。"]


async def test_a_live_passage_behind_many_replaced_ones_is_found(base: Base) -> None:
    await base.put("old", *(f"年假 第{number}条" for number in range(300)))
    await base.publish("new", "年假按工作年限计算，其余见员工手册，本条为长文，补充说明若干。")
    assert len(await base.ask("年假 第1条", threshold=2)) == 1


async def test_the_same_text_twice_is_one_passage(base: Base) -> None:
    await base.publish("v1", "年假为五天。", "年假为五天。", "年假另有规定，见附件。")
    await base.publish("v2", "年假为五天。")
    assert sorted(await base.ask("年假")) == ["年假为五天。", "年假另有规定，见附件。"]


async def test_many_copies_do_not_hide_the_next_passage(base: Base) -> None:
    await base.publish("v1", *["年假为五天。"] * 60, "年假另有规定，请看附件三的详细说明。")
    assert len(await base.ask("年假为五天", top_k=2)) == 2


@pytest.mark.parametrize("nothing", ["你好", "谢谢", "？", "", "请问怎么办呢", "hello", "\u0000"])
async def test_a_question_that_asks_nothing_finds_nothing(base: Base, nothing: str) -> None:
    await base.publish("v1", "你好，谢谢，请问，怎么办呢？hello")
    assert await base.ask(nothing, threshold=2) == []


async def test_the_threshold_cuts(base: Base) -> None:
    await base.publish("v1", "差旅住宿的报销标准", "年假为五天", "报销须知")
    far = await base.ask("差旅住宿报销标准", threshold=2)
    near = await base.ask("差旅住宿报销标准", threshold=0.2)
    assert set(near) == {"差旅住宿的报销标准"} < set(far)


async def test_top_k_is_the_most(base: Base) -> None:
    await base.publish("v1", *(f"年假规定第{number}条" for number in range(20)))
    assert [len(await base.ask("年假", top_k=k)) for k in (0, 1, 5, 100)] == [0, 1, 5, 20]


async def test_another_knowledge_base_is_never_seen(base: Base) -> None:
    await base.publish("v1", "年假为五天。", kb_id=8)
    assert await base.ask("年假") == []
    await base.publish("v1", "报销在周二。")
    assert await base.ask("年假", threshold=2) == []


async def test_a_dropped_knowledge_base_answers_nothing(base: Base) -> None:
    await base.publish("v1", "年假为五天。")
    base.catalog.drop(KB)
    assert await base.ask("年假", threshold=2) == []
    base.catalog.drop(KB)


def test_the_catalog_forgets_exactly_what_it_learned() -> None:
    catalog = LiveCatalog()
    catalog.publish(KB, "v1", term_counts={"年": 2, "vpn": 1, "年假": 2}, chunks=3)
    before = [catalog.idf(KB, term) for term in ("年", "vpn", "无")]
    catalog.publish(KB, "v2", term_counts={"年": 5, "新": 5}, chunks=5)
    catalog.publish(KB, "v2", term_counts={"年": 5, "新": 5}, chunks=5)
    assert catalog.idf(KB, "年") != before[0]
    catalog.withdraw(KB, "v2")
    catalog.withdraw(KB, "v2")
    assert [catalog.idf(KB, term) for term in ("年", "vpn", "无")] == before
    assert set(catalog.live(KB)) == {"v1"}


def test_one_knowledge_base_does_not_change_the_idf_of_another() -> None:
    catalog = LiveCatalog()
    catalog.publish(KB, "v1", term_counts={"年": 2}, chunks=3)
    before = catalog.idf(KB, "年")
    catalog.publish(8, "v1", term_counts={"年": 900}, chunks=900)
    assert catalog.idf(KB, "年") == before


@dataclass
class Embedder:
    """Knows a few texts by heart."""

    vectors: dict[str, list[float]]
    model: str = "fake"
    fingerprint: str = "fake"
    kind: EmbedderKind = "endpoint"
    size: int | None = 3
    is_ready: bool = True

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return Embedded([await self.embed_query(text) for text in texts])

    async def embed_query(self, text: str) -> list[float]:
        if text not in self.vectors:
            raise UpstreamError("the embedder is away")
        return self.vectors[text]

    async def warm(self) -> None: ...
    async def close(self) -> None: ...


HYBRID = Embedders([Embedder({})]).default.collection


@pytest.fixture
async def hybrid(tmp_path: Path) -> AsyncIterator[Base]:
    index = open_index(url=None, api_key=None, folder=tmp_path, collection="h")
    await index.ensure(3)
    known = Base(index)
    contents = ["带薪休息的天数", "空气净化器"]
    counts = await known.put("v1", *contents, dense=[[0.8, 0.6, 0], [0, 1, 0]])
    known.catalog.publish(KB, "v1", term_counts=counts, chunks=2, collection=HYBRID)
    yield known
    await index.close()


async def test_meaning_finds_what_words_do_not(hybrid: Base) -> None:
    search = search_of(hybrid, Embedder({"放假": [1, 0, 0]}))
    (passage,) = await search.search(KB, "放假", top_k=3, score_threshold=1)
    assert passage.content == "带薪休息的天数"
    assert passage.score == pytest.approx(2 - 2 * 0.8)


async def test_the_lower_of_both_distances_counts(hybrid: Base) -> None:
    search = search_of(hybrid, Embedder({"净化器": [1, 0, 0]}))
    passages = await search.search(KB, "净化器", top_k=3, score_threshold=2)
    scores = {passage.content: passage.score for passage in passages}
    assert scores["空气净化器"] == 0, "every word, though its cosine is 0"


async def test_without_the_embedder_words_still_find(
    hybrid: Base, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_of(hybrid, Embedder({}))
    (passage,) = await search.search(KB, "净化器", top_k=3, score_threshold=1)
    assert passage.content == "空气净化器"
    assert "the embedder failed" in caplog.text


async def test_a_greeting_is_not_even_embedded(hybrid: Base) -> None:
    search = search_of(hybrid, Embedder({"你好": [1, 0, 0]}))
    assert await search.search(KB, "你好", top_k=3, score_threshold=2) == []


@dataclass
class Dropping:
    """An index whose knowledge base is deleted while it is asked."""

    inner: VectorIndex
    catalog: LiveCatalog

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        dense: list[float] | None,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        hits = await self.inner.query(kb_id, sparse, dense, limit, where)
        self.catalog.drop(kb_id)
        return hits

    async def ensure(self, dense_size: int | None) -> None: ...
    async def upsert(self, points: Sequence[Point]) -> None: ...
    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None: ...
    async def delete(self, kb_id: int, version: str | None = None) -> None: ...
    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None: ...
    async def ping(self) -> None: ...
    async def count(self, kb_id: int, version: str | None = None) -> int:
        return 0

    async def flush(self) -> None: ...
    async def close(self) -> None: ...


async def test_deleted_in_the_middle_of_a_search_it_answers_nothing(base: Base) -> None:
    await base.publish("v1", "年假为五天。")
    search = search_of(Base(Dropping(base.index, base.catalog), base.catalog))
    assert await search.search(KB, "年假", top_k=3, score_threshold=2) == []


async def test_the_exact_part_number_comes_first(base: Base) -> None:
    texts = [f"型号 AB-{number} 的保修期为两年，滤芯另计。" for number in range(1200, 1230)]
    await base.publish("v1", *texts, "AB1207见附录。")
    found = await base.ask("AB 1207的滤芯保修期是几年？", top_k=3)
    assert found[:2] == [texts[7], "AB1207见附录。"]


async def test_only_what_has_a_quoted_phrase_is_found_where_anything_has(base: Base) -> None:
    texts = [f"年假为五天，五天年假第{number}条" for number in range(30)]
    await base.publish("v1", *texts, "另有规定：五天的年假顺延，见附件三的详细说明。")
    assert await base.ask("“五天的年假”怎么算", threshold=2) == [
        "另有规定：五天的年假顺延，见附件三的详细说明。"
    ]
    assert len(await base.ask("“十天的年假”怎么算", threshold=2)) == 3


async def test_traditional_and_simplified_find_each_other(base: Base) -> None:
    await base.publish("v1", "員工旅遊補貼的標準", "年假为五天。")
    assert await base.ask("旅游补贴") == ["員工旅遊補貼的標準"]


async def test_names_and_synonyms_of_the_installation(base: Base) -> None:
    await base.publish("v1", "出差费用在周二报销。", "另见滤芯的说明。", "三码合一机")
    lexicon = Lexicon(["三码合一机"], [["差旅费", "出差费用"]])
    collections = CollectionSet(Embedders(), lambda _: base.index)
    search = Search(collections, base.catalog, lexicon=lexicon)
    for question, right in (("差旅费", "出差费用在周二报销。"), ("三码合一机", "三码合一机")):
        found = await search.search(KB, question, top_k=3, score_threshold=1)
        assert [passage.content for passage in found] == [right]
