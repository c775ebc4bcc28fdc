"""Measures search by meaning against search by words, and both together, with a real model.

    CHAT2LLM_EVAL_DATA=FOLDER python -m bench.dense --embedder MODEL_FOLDER [--set xquad.en]

The passages of each set are embedded by the model in the folder (several minutes on one core) and
asked for through Search, as in the service. Printed for words, meaning and both: hit@1, hit@5, MRR,
the right passages among the first five that threshold 1 cuts off, and how often questions about
another subject find nothing in a knowledge base of twenty passages.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from bench.evaluate import ANYTHING
from bench.retrieval_sets import EvalSet, load_sets
from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet, Question
from kb_service.embeddings.available import Embedders
from kb_service.embeddings.local import LocalEmbedder
from kb_service.search import Search
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Hit, Point, SparseVector, VectorIndex, Where, open_index

WHOLE, SMALL = 1, 100  # ids of knowledge bases: the set, and then small ones of one subject each
SMALL_SIZE = 20
_NO_TERMS = SparseVector([], [])


class OneLeg(CollectionSet):
    """Asks by words alone, by meaning alone, or both."""

    leg = "both"

    async def query(
        self,
        kb_id: int,
        sparse: SparseVector,
        question: Question,
        limit: int,
        where: Where | None = None,
    ) -> list[Hit]:
        if self.leg == "words":
            question = dict.fromkeys(question)
        if self.leg == "meaning":
            sparse = _NO_TERMS
        return await super().query(kb_id, sparse, question, limit, where)


@dataclass(frozen=True)
class Bench:
    """Everything indexed; `subjects` are the questions' small knowledge bases of other subjects."""

    search: Search
    collections: OneLeg
    known: EvalSet
    smalls: int


async def indexed(known: EvalSet, embedder: LocalEmbedder, folder: Path) -> Bench:
    embedders, catalog = Embedders([embedder]), LiveCatalog()
    collections = OneLeg(embedders, lambda name: _open(folder, name))
    vectors = (await embedder.embed(known.passages)).vectors
    collection = embedders.default.collection
    bases = {WHOLE: range(len(known.passages))}
    for start in range(0, len(known.passages) - SMALL_SIZE + 1, SMALL_SIZE):
        bases[SMALL + start // SMALL_SIZE] = range(start, start + SMALL_SIZE)
    for kb_id, numbers in bases.items():
        counts = {number: Counter(terms(known.passages[number])) for number in numbers}
        await collections.upsert(
            collection,
            [_point(known, kb_id, n, counted, vectors[n]) for n, counted in counts.items()],
        )
        frequencies = Counter(term for counted in counts.values() for term in counted)
        catalog.publish(
            *(kb_id, "1"), term_counts=frequencies, chunks=len(numbers), collection=collection
        )
    return Bench(Search(collections, catalog), collections, known, len(bases) - 1)


def _open(folder: Path, name: str) -> VectorIndex:
    return open_index(url=None, api_key=None, folder=folder, collection=name)


def _point(
    known: EvalSet, kb_id: int, number: int, counted: Mapping[str, int], dense: list[float]
) -> Point:
    payload = {"chunk_id": str(number), "file_name": "", "metadata": {}}
    return Point(
        id=str(uuid.UUID(int=(kb_id << 32) + number)),
        kb_id=kb_id,
        version="1",
        sparse=sparse_vector(counted),
        dense=dense,
        payload=payload | {"content": known.passages[number]},
    )


async def measure(bench: Bench) -> None:
    for bench.collections.leg in ("words", "meaning", "both"):
        ranks, lost = list[int](), 0
        began = time.perf_counter()
        for question, right in bench.known.questions:
            found = await bench.search.search(WHOLE, question, top_k=10, score_threshold=ANYTHING)
            rank = _rank([int(one.chunk_id) for one in found], right)
            ranks.append(rank)
            lost += rank <= 5 and found[rank - 1].score > 1
        spent = (time.perf_counter() - began) / len(ranks)
        hits = [sum(rank <= most for rank in ranks) / len(ranks) for most in (1, 5)]
        mean = sum(1 / rank for rank in ranks if rank <= 10) / len(ranks)
        refused = await _refused(bench)
        print(
            f"  {bench.collections.leg:8} hit@1 {hits[0]:.3f}  hit@5 {hits[1]:.3f}  MRR {mean:.3f}"
            f"  cut {lost / len(ranks):.3f}  refused {refused:.2f}  {spent * 1000:.1f} ms"
        )


async def _refused(bench: Bench) -> float:
    chooser = random.Random(3)
    nothing = asked = 0
    for question, right in bench.known.questions:
        own = {SMALL + number // SMALL_SIZE for number in right}
        other = chooser.choice([kb for kb in range(SMALL, SMALL + bench.smalls) if kb not in own])
        asked += 1
        nothing += not await bench.search.search(other, question, top_k=3, score_threshold=1)
    return nothing / asked


def _rank(found: Sequence[int], right: Set[int]) -> int:
    return next((place for place, number in enumerate(found, 1) if number in right), 1_000)


async def main(folder: Path, model: Path, names: Sequence[str] = ("xquad.en",)) -> None:
    sets = {name: known.sample(1_000) for name, known in load_sets(folder).items()}
    with tempfile.TemporaryDirectory() as workshop:
        embedder = LocalEmbedder(model, Path(workshop))
        for name in names:
            with tempfile.TemporaryDirectory() as store:
                bench = await indexed(sets[name], embedder, Path(store))
                print(f"{name}: {len(sets[name].passages)} passages")
                await measure(bench)
                await bench.collections.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--set", action="append", default=None)
    arguments = parser.parse_args()
    data = Path(os.environ["CHAT2LLM_EVAL_DATA"])
    asyncio.run(main(data, arguments.embedder, arguments.set or ["xquad.en"]))
