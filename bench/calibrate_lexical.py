"""Measures lexical search on several sets: what to index, how to weigh it, where distance 1 lies.

    CHAT2LLM_EVAL_DATA=FOLDER python -m bench.calibrate_lexical [--alternatives]

Every set is indexed on the embedded engine and asked through Search, as in the service. Printed:
hit@1 and hit@5, the right passages lost at threshold 1 among those found in the first five, and
how often questions put to a knowledge base of another subject find nothing. `--alternatives` adds
hit rates for other terms and other BM25 parameters, scored by the same formula in Python.
"""

import argparse
import asyncio
import json
import math
import os
import random
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.folding import folded
from kb_service.search import Search
from kb_service.tokens import (
    characters,
    compounds,
    is_ideographic,
    question_words,
    sparse_vector,
    terms,
)
from kb_service.vectors import Point, open_index

OWN_PAIRS = Path(__file__).parent.parent / "tests" / "kb_service" / "pairs_zh.jsonl"
ANYTHING = 2.0
MOST_QUESTIONS = 1000


@dataclass(frozen=True)
class EvalSet:
    """Passages, and questions with the numbers of their right passages."""

    passages: list[str]
    questions: list[tuple[str, set[int]]]


def squad(path: Path) -> EvalSet:
    passages: list[str] = []
    questions: list[tuple[str, set[int]]] = []
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            questions += [(qa["question"], {len(passages)}) for qa in paragraph["qas"]]
            passages.append(paragraph["context"])
    return EvalSet(passages, questions)


def rgb(path: Path) -> EvalSet:
    passages: list[str] = []
    questions: list[tuple[str, set[int]]] = []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        right = [p for ps in row["positive"] for p in (ps if isinstance(ps, list) else [ps])]
        start = len(passages)
        questions.append((row["query"], set(range(start, start + len(right)))))
        passages += right + row["negative"]
    return EvalSet(passages, questions)


def lcqmc(path: Path) -> EvalSet:
    numbers: dict[str, int] = {}
    right: defaultdict[str, set[int]] = defaultdict(set)
    for line in path.read_text("utf-8").splitlines():
        question, other, same = line.split("\t")
        number = numbers.setdefault(other, len(numbers))
        if same == "1":
            right[question].add(number)
    return EvalSet(list(numbers), list(right.items()))


def own_pairs() -> EvalSet:
    rows = [json.loads(line) for line in OWN_PAIRS.read_text("utf-8").splitlines()]
    return EvalSet(
        [row["passage"] for row in rows], [(row["question"], {n}) for n, row in enumerate(rows)]
    )


def load_sets(folder: Path) -> dict[str, EvalSet]:
    sets = {
        "cmrc2018": squad(folder / "cmrc2018_dev.json"),
        "xquad.zh": squad(folder / "xquad.zh.json"),
        "xquad.en": squad(folder / "xquad.en.json"),
        "rgb_int": rgb(folder / "rgb_zh_int.jsonl"),
        "rgb_fact": rgb(folder / "rgb_zh_fact.jsonl"),
        "lcqmc": lcqmc(folder / "lcqmc_dev.tsv"),
        "own": own_pairs(),
    }
    for known in sets.values():
        random.Random(7).shuffle(known.questions)
        del known.questions[MOST_QUESTIONS:]
    return sets


async def index_all(sets: dict[str, EvalSet], folder: Path) -> Search:
    index, catalog = (
        open_index(url=None, api_key=None, folder=folder, collection="lexical"),
        LiveCatalog(),
    )
    await index.ensure(None)
    for kb_id, known in enumerate(sets.values()):
        counts = [Counter(terms(passage)) for passage in known.passages]
        await index.upsert(
            [
                Point(
                    id=str(uuid.UUID(int=(kb_id << 32) + number)),
                    kb_id=kb_id,
                    version="1",
                    sparse=sparse_vector(counted),
                    dense=None,
                    payload={
                        "chunk_id": str(number),
                        "file_name": "",
                        "content": passage,
                        "metadata": {},
                    },
                )
                for number, (passage, counted) in enumerate(
                    zip(known.passages, counts, strict=True)
                )
            ]
        )
        frequencies = Counter(term for counted in counts for term in counted)
        catalog.publish(kb_id, "1", term_counts=frequencies, chunks=len(known.passages))
    return Search(CollectionSet(Embedders(), lambda _: index), catalog)


async def print_hits(sets: dict[str, EvalSet], search: Search) -> None:
    print(f"{'set':10} {'passages':>8} {'questions':>9}  hit@1  hit@5  lost at threshold 1")
    for kb_id, (name, known) in enumerate(sets.items()):
        first = five = found = lost = 0
        for question, right in known.questions:
            contents = {known.passages[number] for number in right}
            passages = await search.search(kb_id, question, top_k=5, score_threshold=ANYTHING)
            scores = [p.score for p in passages if p.content in contents]
            first += bool(passages) and passages[0].content in contents
            five += bool(scores)
            found += len(scores)
            lost += sum(score > 1 for score in scores)
        asked = len(known.questions)
        print(
            f"{name:10} {len(known.passages):8} {asked:9}  {first / asked:.3f}  {five / asked:.3f}"
            f"  {lost / found:.2%} of {found}"
        )


async def print_refusals(sets: dict[str, EvalSet], search: Search) -> None:
    print("\nquestions of one set put to another: share that finds nothing at threshold 1")
    bases = list(sets)
    for asked in ("cmrc2018", "xquad.zh", "rgb_fact", "lcqmc", "own"):
        line = f"{asked:10}"
        for kb_id, base in enumerate(bases):
            if base not in (asked, "xquad.en", "rgb_int"):
                questions = [question for question, _ in sets[asked].questions[:300]]
                empty = 0
                for question in questions:
                    empty += not await search.search(kb_id, question, top_k=1, score_threshold=1)
                line += f"  {base} {empty / len(questions):.0%}"
        print(line)


def pairs_of(text: str) -> list[str]:
    runs: list[str] = []
    run = ""
    for character in folded(text) + " ":
        if is_ideographic(character):
            run += character
        else:
            runs.append(run)
            run = ""
    return [run[i : i + 2] for run in runs for i in range(len(run) - 1)]


def weighed(text: str, *, words: float, single: float, pairs: float) -> dict[str, float]:
    weights = dict.fromkeys((f"p{pair}" for pair in pairs_of(text)), pairs)
    for word in question_words(text):
        if not is_ideographic(word):
            weights[word] = 1.0
            continue
        weights.update((part, words) for part in compounds(word))
        weights.update((character, single) for character in characters(word))
    return weights


def alternatives(sets: dict[str, EvalSet]) -> None:
    print("\nhit@1/hit@5 by weights of words, single characters and pairs, and by k1, b")
    documents = {
        name: [Counter(terms(p) + [f"p{x}" for x in pairs_of(p)]) for p in known.passages]
        for name, known in sets.items()
    }
    chosen = {"words": 0.5, "single": 1.0, "pairs": 0.0}
    for weights in (
        chosen,
        {"words": 1.0, "single": 0.0, "pairs": 0.0},
        {"words": 0.0, "single": 1.0, "pairs": 0.0},
        {"words": 0.0, "single": 0.0, "pairs": 1.0},
        {"words": 1.0, "single": 1.0, "pairs": 0.0},
        {"words": 0.5, "single": 1.0, "pairs": 0.5},
        {"words": 0.0, "single": 1.0, "pairs": 0.5},
    ):
        print_alternative(sets, documents, weights, k1=0.8, b=0.4)
    for k1, b in ((1.2, 0.75), (1.2, 0.4), (0.5, 0.3)):
        print_alternative(sets, documents, chosen, k1=k1, b=b)


def print_alternative(
    sets: dict[str, EvalSet],
    documents: dict[str, list[Counter[str]]],
    weights: dict[str, float],
    *,
    k1: float,
    b: float,
) -> None:
    line = " ".join(f"{name} {weight}" for name, weight in weights.items()) + f" k1 {k1} b {b}:"
    # What has no weight in the question is not indexed either.
    used = {"spaced", *(kind for kind, weight in weights.items() if weight)}
    for name, known in sets.items():
        kept = [Counter({t: n for t, n in d.items() if _kind(t) in used}) for d in documents[name]]
        ranked = bm25(kept, k1, b)
        places = [
            next((i for i, n in enumerate(ranked(weighed(q, **weights))) if n in right), 9)
            for q, right in known.questions
        ]
        asked = len(places)
        line += (
            f"  {sum(p < 1 for p in places) / asked:.3f}/{sum(p < 5 for p in places) / asked:.3f}"
        )
    print(line, flush=True)


def _kind(term: str) -> str:
    if is_ideographic(term):
        return "single" if len(term) == 1 else "words"
    return "pairs" if len(term) == 3 and is_ideographic(term[1]) else "spaced"


def bm25(
    documents: list[Counter[str]], k1: float, b: float
) -> Callable[[dict[str, float]], Iterable[int]]:
    usual = sum(document.total() for document in documents) / len(documents)
    postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, document in enumerate(documents):
        norm = k1 * (1 - b + b * document.total() / usual)
        for term, count in document.items():
            postings[term].append((number, count * (k1 + 1) / (count + norm)))

    def ranked(weights: dict[str, float]) -> list[int]:
        scores: defaultdict[int, float] = defaultdict(float)
        for term, weight in weights.items():
            found = postings.get(term, [])
            told = weight * math.log1p((len(documents) - len(found) + 0.5) / (len(found) + 0.5))
            for number, value in found:
                scores[number] += told * value
        return sorted(scores, key=lambda number: -scores[number])[:5]

    return ranked


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alternatives", action="store_true")
    arguments = parser.parse_args()
    sets = load_sets(Path(os.environ["CHAT2LLM_EVAL_DATA"]))
    with tempfile.TemporaryDirectory() as folder:
        search = await index_all(sets, Path(folder))
        await print_hits(sets, search)
        await print_refusals(sets, search)
    if arguments.alternatives:
        alternatives(sets)


if __name__ == "__main__":
    asyncio.run(main())
