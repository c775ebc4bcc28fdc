"""Both engines give the same best ten, in the same order, by words alone and together with vectors.

The client's engine in memory stands for the server: it is another implementation than the embedded
one, which a server shares.
"""

import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import AsyncQdrantClient

from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, VectorIndex, Where, open_index
from kb_service.vectors.server import QdrantIndex, connect
from kb_service.wording import Lexicon

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

LEXICON = Lexicon()
DIMENSIONS = 32
FILES = 5
PASSAGES, QUESTIONS = 64, 200
OWN_PAIRS = Path(__file__).parent / "pairs_zh.jsonl"
EVAL_DATA = os.environ.get("CHAT2LLM_EVAL_DATA")


class Vectors:
    """Any direction is as good as another one, so meaning and words seldom agree."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def __call__(self) -> list[float]:
        return [self._random.gauss(0, 1) for _ in range(DIMENSIONS)]


def points(passages: Sequence[str], vector: Vectors) -> list[Point]:
    """Two thirds of the passages are in the knowledge base that is asked."""
    return [
        Point(
            id=str(uuid.UUID(int=number)),
            kb_id=1 if number % 3 else 2,
            version="v",
            sparse=sparse_vector(Counter(terms(passage))),
            dense=vector(),
            payload={"file_name": f"{number % FILES}.txt", "content": passage},
        )
        for number, passage in enumerate(passages)
    ]


async def differences(
    tmp_path: Path, passages: Sequence[str], questions: Sequence[str]
) -> list[tuple[str, list[list[str]]]]:
    """Each question by words and with a vector; every other one about some files only."""
    url = os.environ.get("QDRANT_URL")
    client = connect(url, None) if url else AsyncQdrantClient(":memory:")
    collection = f"test-{uuid.uuid4().hex}"
    one = open_index(url=None, api_key=None, folder=tmp_path, collection=collection)
    other = QdrantIndex(client, collection)
    vector = Vectors()
    stored = points(passages, vector)
    for index in (one, other):
        await index.ensure(DIMENSIONS)
        await index.upsert(stored)
    found = []
    for number, question in enumerate(questions):
        where = Where(file_names=("1.txt", "2.txt", "3.txt")) if number % 2 else None
        for dense in (None, vector()):
            ids = [await best(index, question, dense, where) for index in (one, other)]
            assert ids[0]
            if ids[0] != ids[1]:
                found.append((question, ids))
    await client.delete_collection(collection)
    for index in (one, other):
        await index.close()
    return found


def clear(questions: Sequence[str], passages: Sequence[str]) -> list[str]:
    """Those for which no two passages are worth the same: these may come in any order."""
    vectors = [point.sparse for point in points(passages, Vectors()) if point.kb_id == 1]
    weights = [dict(zip(one.indices, one.values, strict=True)) for one in vectors]
    found = Counter(term for one in weights for term in one)
    kept = []
    for question in questions:
        asked = LEXICON.wording(question).vector
        rare = {
            term: value * log((len(weights) - found[term] + 0.5) / (found[term] + 0.5) + 1)
            for term, value in zip(asked.indices, asked.values, strict=True)
        }
        scores = [sum(rare[term] * one[term] for term in rare.keys() & one) for one in weights]
        worth = Counter(round(score, 5) for score in scores if score)
        if worth and max(worth.values()) == 1:
            kept.append(question)
    return kept


async def best(
    index: VectorIndex, question: str, dense: list[float] | None, where: Where | None
) -> list[str]:
    words = LEXICON.wording(question).vector
    return [hit.id for hit in await index.query(1, words, dense, 10, where)]


async def test_on_questions_of_our_own(tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in OWN_PAIRS.read_text("utf-8").splitlines()]
    passages = [pair["passage"] for pair in pairs]
    asked = clear([pair["question"] for pair in pairs], passages)[:20]
    assert len(asked) == 20
    assert await differences(tmp_path, passages, asked) == []


@pytest.mark.skipif(not EVAL_DATA, reason="CHAT2LLM_EVAL_DATA names no folder of public sets")
async def test_on_two_hundred_questions_of_a_public_set(tmp_path: Path) -> None:
    data: Any = json.loads((Path(EVAL_DATA or "") / "cmrc2018_dev.json").read_text("utf-8"))
    paragraphs = [one for article in data["data"] for one in article["paragraphs"]][:PASSAGES]
    passages = [one["context"] for one in paragraphs]
    every = [qa["question"] for one in paragraphs for qa in one["qas"]]
    asked = clear(every, passages)[:QUESTIONS]
    assert len(asked) == QUESTIONS
    assert await differences(tmp_path, passages, asked) == []
