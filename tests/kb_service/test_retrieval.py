"""Lexical retrieval on real questions, through Search on the embedded engine."""

import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.search import Search
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, open_index

OWN_PAIRS = Path(__file__).parent / "pairs_zh.jsonl"
EVAL_DATA = os.environ.get("CHAT2LLM_EVAL_DATA")
THRESHOLD = 1.0  # the default of the old wire


async def indexed(folder: Path, passages: Sequence[str]) -> Search:
    index, catalog = (
        open_index(url=None, api_key=None, folder=folder, collection="c"),
        LiveCatalog(),
    )
    await index.ensure(None)
    counts = [Counter(terms(passage)) for passage in passages]
    await index.upsert(
        [
            Point(
                id=str(uuid.UUID(int=number)),
                kb_id=1,
                version="v1",
                sparse=sparse_vector(counted),
                dense=None,
                payload={
                    "chunk_id": str(number),
                    "file_name": "f",
                    "content": passage,
                    "metadata": {},
                },
            )
            for number, (passage, counted) in enumerate(zip(passages, counts, strict=True))
        ]
    )
    frequencies = Counter(term for counted in counts for term in counted)
    catalog.publish(1, "v1", term_counts=frequencies, chunks=len(passages))
    return Search(CollectionSet(Embedders(), lambda _: index), catalog)


async def hit_rate(search: Search, pairs: Sequence[tuple[str, str]], top_k: int) -> float:
    hits = 0
    for question, right in pairs:
        found = await search.search(1, question, top_k=top_k, score_threshold=THRESHOLD)
        hits += right in [passage.content for passage in found]
    return hits / len(pairs)


def own_pairs() -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in OWN_PAIRS.read_text("utf-8").splitlines()]
    return [(row["question"], row["passage"]) for row in rows]


def squad(name: str) -> tuple[list[str], list[tuple[str, str]]]:
    assert EVAL_DATA, "CHAT2LLM_EVAL_DATA is set, but empty"
    document = json.loads((Path(EVAL_DATA) / name).read_text("utf-8"))
    paragraphs = [paragraph for entry in document["data"] for paragraph in entry["paragraphs"]]
    pairs = [(qa["question"], p["context"]) for p in paragraphs for qa in p["qas"]]
    random.Random(20).shuffle(pairs)
    return [paragraph["context"] for paragraph in paragraphs], pairs[:500]


async def test_paraphrased_questions_find_their_passage(tmp_path: Path) -> None:
    pairs = own_pairs()
    assert len(pairs) == 60
    search = await indexed(tmp_path, [passage for _, passage in pairs])
    assert await hit_rate(search, pairs, 5) >= 0.85
    assert await hit_rate(search, pairs, 1) >= 0.75


@pytest.mark.skipif(EVAL_DATA is None, reason="CHAT2LLM_EVAL_DATA is not set")
@pytest.mark.parametrize(
    ("name", "paragraphs", "at_5", "at_1"),
    [("cmrc2018_dev.json", 848, 0.99, 0.96), ("xquad.zh.json", 240, 0.98, 0.94)],
)
async def test_a_reading_comprehension_set(
    tmp_path: Path, name: str, paragraphs: int, at_5: float, at_1: float
) -> None:
    passages, pairs = squad(name)
    assert (len(passages), len(pairs)) == (paragraphs, 500)
    search = await indexed(tmp_path, passages)
    assert await hit_rate(search, pairs, 5) >= at_5
    assert await hit_rate(search, pairs, 1) >= at_1


async def test_greetings_and_most_questions_about_something_else_find_nothing(
    tmp_path: Path,
) -> None:
    search = await indexed(tmp_path, [passage for _, passage in own_pairs()])

    async def empty(name: str) -> float:
        questions = (Path(__file__).parent / name).read_text("utf-8").splitlines()
        found = [
            await search.search(1, question, top_k=5, score_threshold=THRESHOLD)
            for question in questions
        ]
        return found.count([]) / len(found)

    assert await empty("greetings.txt") == 1
    assert await empty("off_topic.txt") >= 0.75
