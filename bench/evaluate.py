"""Retrieval quality on the evaluation folder, by words alone, through the product's own Search.

    CHAT2LLM_EVAL_DATA=FOLDER python -m bench.evaluate [--sets NAME ...] [--recipe NAME ...]

Every set is indexed on the embedded engine. Printed at the default threshold: hit@1, hit@5, MRR,
nDCG@10, which share of the right passages among the first five the threshold cuts, and the median
time of a search; beside it plain character-pair BM25 (k1 1.2, b 0.75) on the same set, and other
recipes that are asked for. Then what retrieves nothing: greetings, small talk, and questions put
to a knowledge base about something else.
"""

import argparse
import asyncio
import math
import os
import random
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.lexical_recipes import RECIPES
from bench.retrieval_sets import SETS, EvalSet, Question, lines, load_sets
from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.search import Search
from kb_service.tokens import counted, sparse_vector, terms
from kb_service.vectors import Point, VectorIndex, open_index

THRESHOLD, ANYTHING = 1.0, 2.0
FIRST = 10
QUESTIONS = 1_500
ASKED_ELSEWHERE = 150
SMALL = 60  # passages of a small knowledge base
KB = 1
HEAD = f"{'set':14}{'recipe':12}  hit@1  hit@5    MRR   nDCG    cut  p50 ms"


@dataclass
class Marks:
    """Of one set: for each question at which of the first places a right passage is."""

    places: list[list[bool]] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    found: int = 0
    cut: int = 0
    times: list[float] = field(default_factory=list)

    def line(self, name: str, recipe: str) -> str:
        time_ms = f"{statistics.median(self.times) * 1000:8.1f}" if self.times else ""
        cut = f"{self.cut / self.found:7.2%}" if self.found else f"{'':7}"
        figures = (self.hit(1), self.hit(5), self.mrr(), self.ndcg())
        return f"{name:14}{recipe:12}" + "".join(f"{x:7.3f}" for x in figures) + cut + time_ms

    def hit(self, first: int) -> float:
        return statistics.fmean(any(places[:first]) for places in self.places)

    def mrr(self, part: slice = slice(None)) -> float:
        return statistics.fmean(
            1 / (1 + places.index(True)) if True in places else 0.0 for places in self.places[part]
        )

    def ndcg(self) -> float:
        gains = []
        for places, right in zip(self.places, self.right, strict=True):
            gain = sum(1 / math.log2(2 + n) for n, is_right in enumerate(places) if is_right)
            gains.append(gain / sum(1 / math.log2(2 + n) for n in range(min(right, FIRST))))
        return statistics.fmean(gains)


async def indexed(passages: Sequence[str], folder: Path) -> Search:
    open_collection = partial(_open, folder)
    collections, catalog = CollectionSet(Embedders(), open_collection), LiveCatalog()
    counts = [Counter(terms(passage)) for passage in passages]
    points = [
        Point(
            id=str(uuid.UUID(int=number)),
            kb_id=KB,
            version="1",
            sparse=sparse_vector(counted_),
            dense=None,
            payload={"chunk_id": str(number), "file_name": "", "content": text, "metadata": {}},
        )
        for number, (text, counted_) in enumerate(zip(passages, counts, strict=True))
    ]
    collection = Embedders().default.collection
    await collections.upsert(collection, points)
    frequencies = Counter(term for counted_ in counts for term in counted(counted_))
    catalog.publish(KB, "1", term_counts=frequencies, chunks=len(passages), collection=collection)
    return Search(collections, catalog)


async def mark(known: EvalSet, search: Search) -> Marks:
    marks = Marks()
    for question, right in known.questions:
        begun = time.perf_counter()
        found = await search.search(KB, question, top_k=FIRST + 1, score_threshold=ANYTHING)
        marks.times.append(time.perf_counter() - begun)
        contents = {known.passages[number] for number in right}
        if known.among_themselves:
            found = [passage for passage in found if passage.content != question]
        is_right = [passage.content in contents for passage in found[:5]]
        marks.found += sum(is_right)
        marks.cut += sum(
            one and passage.score > THRESHOLD
            for one, passage in zip(is_right, found[:5], strict=True)
        )
        # What the threshold cuts is left out, the rest keeps its order.
        near = [passage for passage in found if passage.score <= THRESHOLD][:FIRST]
        marks.places.append([passage.content in contents for passage in near])
        marks.right.append(len(contents))
    return marks


def mark_recipe(known: EvalSet, recipe: str) -> Marks:
    ranked, marks = RECIPES[recipe].ranking(known.passages), Marks()
    for question, right in known.questions:
        contents = {known.passages[number] for number in right}
        found = list(dict.fromkeys(known.passages[n] for n in ranked(question, 4 * FIRST)))
        if known.among_themselves:
            found = [text for text in found if text != question]
        marks.places.append([text in contents for text in found[:FIRST]])
        marks.right.append(len(contents))
    return marks


async def refused(search: Search, questions: Sequence[str]) -> float:
    nothing = 0
    for question in questions:
        nothing += not await search.search(KB, question, top_k=5, score_threshold=THRESHOLD)
    return nothing / len(questions)


async def print_refusals(name: str, search: Search, elsewhere: dict[str, list[str]]) -> None:
    line = f"{name:22}"
    for file in ("greetings.txt", "off_topic.txt"):
        line += f"{await refused(search, lines(file)):8.0%}"
    for subject, questions in elsewhere.items():
        own = SETS_SUBJECTS[name.split("/")[0]] == subject
        line += f"{'':8}" if own else f"{await refused(search, questions):8.0%}"
    print(line, flush=True)


def small(known: EvalSet) -> list[str]:
    return random.Random(7).sample(known.passages, min(SMALL, len(known.passages)))


SETS_SUBJECTS: dict[str, str] = {}


async def main() -> None:
    arguments = _arguments()
    sets = load_sets(Path(os.environ["CHAT2LLM_EVAL_DATA"]), arguments.sets)
    SETS_SUBJECTS.update((name, known.subject) for name, known in sets.items())
    everywhere: dict[str, list[Question]] = {}
    for known in sets.values():
        everywhere.setdefault(known.subject, known.questions)
    print(HEAD, flush=True)
    marks: list[Marks] = []
    with tempfile.TemporaryDirectory() as folder:
        searches: dict[str, Search] = {}
        for name, whole in sets.items():
            known = whole.sample(arguments.questions)
            searches[name] = search = await indexed(known.passages, Path(folder) / name)
            marks.append(await mark(known, search))
            print(marks[-1].line(name, "product"), flush=True)
            for recipe in ("pair-bm25", *arguments.recipe):
                print(mark_recipe(known, recipe).line("", recipe), flush=True)
        for half, part in (("even", slice(0, None, 2)), ("odd", slice(1, None, 2))):
            mean = statistics.fmean(one.mrr(part) for one in marks)
            print(f"mean MRR of the {half} questions of every set: {mean:.4f}")
        elsewhere = {
            subject: [q for q, _ in random.Random(7).sample(them, min(ASKED_ELSEWHERE, len(them)))]
            for subject, them in everywhere.items()
        }
        print("\nshare that finds nothing at the default threshold, by knowledge base asked")
        print(f"{'':22}greeting smalltalk " + "".join(f"{s[:7]:>8}" for s in elsewhere))
        for name, search in searches.items():
            await print_refusals(name, search, elsewhere)
            if len(sets[name].passages) > 2 * SMALL:
                one = await indexed(small(sets[name]), Path(folder) / f"{name}-small")
                await print_refusals(f"{name}/{SMALL}", one, elsewhere)
    if arguments.embedder:
        from bench import dense  # which imports this module

        await dense.main(Path(os.environ["CHAT2LLM_EVAL_DATA"]), arguments.embedder)


def _open(folder: Path, collection: str) -> VectorIndex:
    return open_index(url=None, api_key=None, folder=folder, collection=collection)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--embedder", type=Path, help="folder of a model: measure meaning as well (xquad.en)"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[])
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=[])
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of each set, at most")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
