"""Measures search on the embedded engine, from question to passages: p50 and p95.

    python -m bench.vector_scale [--dense] [2000 20000 100000]

Chunks of 250 characters are drawn from a vocabulary with the frequencies of real text; every
eleventh belongs to another knowledge base. Budget: lexical p95 at 100,000 chunks <= 20 ms.
`--dense` adds random vectors of 512 dimensions and asks hybrid.
"""

import argparse
import asyncio
import random
import resource
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.embeddings import Embedded, EmbedderKind
from kb_service.embeddings.available import Embedders
from kb_service.search import Search
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, open_index

QUESTIONS = 300
DIMENSIONS = 512
BATCH = 1000


class Author:
    """Writes text whose word frequencies fall like those of real text, the same at every run."""

    def __init__(self) -> None:
        self._random = random.Random(11)
        common = [chr(0x4E00 + 7 * i % 6000) for i in range(3000)]
        self._words = [
            "".join(self._random.choices(common, k=self._random.choice((1, 2, 2, 2, 3))))
            for _ in range(40_000)
        ]

    def write(self, characters: int) -> str:
        text = ""
        while len(text) < characters:
            rank = int(10 * self._random.paretovariate(0.6)) - 10  # the first is 6 % of all words
            text += self._words[rank % len(self._words)]
        return text[:characters]


class RandomEmbedder:
    """Vectors as long as a small model's, that mean nothing."""

    model = fingerprint = "random"
    kind: EmbedderKind = "local"
    is_ready = True
    size: int | None = DIMENSIONS

    def __init__(self) -> None:
        self._random = random.Random(3)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return Embedded([await self.embed_query(text) for text in texts])

    async def embed_query(self, text: str) -> list[float]:
        return [self._random.random() - 0.5 for _ in range(DIMENSIONS)]

    async def close(self) -> None: ...


async def fill(
    size: int, folder: Path, embedder: RandomEmbedder | None
) -> tuple[Search, float, list[str]]:
    author, catalog = Author(), LiveCatalog()
    index = open_index(url=None, api_key=None, folder=folder, collection="scale")
    await index.ensure(embedder.size if embedder else None)
    frequencies: Counter[str] = Counter()
    spent = 0.0
    texts: list[str] = []
    for start in range(0, size + size // 10, BATCH):
        points = []
        for number in range(start, min(start + BATCH, size + size // 10)):
            text = author.write(250)
            counts = Counter(terms(text))
            foreign = number % 11 == 0
            if not foreign:
                frequencies.update(counts.keys())
                texts.append(text)
            points.append(
                Point(
                    id=str(uuid.UUID(int=number)),
                    kb_id=int(foreign),
                    version="1",
                    sparse=sparse_vector(counts),
                    dense=(await embedder.embed([text])).vectors[0] if embedder else None,
                    payload={
                        "chunk_id": str(number),
                        "file_name": "a.txt",
                        "content": text,
                        "metadata": {},
                    },
                )
            )
        began = time.perf_counter()
        await index.upsert(points)
        spent += time.perf_counter() - began
    embedders = Embedders([embedder] if embedder else [])
    catalog.publish(
        *(0, "1"),
        term_counts=frequencies,
        chunks=len(texts),
        collection=embedders.default.collection,
    )
    return Search(CollectionSet(embedders, lambda _: index), catalog), spent, texts


async def measure(size: int, embedder: RandomEmbedder | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        search, spent, texts = await fill(size, Path(folder), embedder)
        chooser = random.Random(5)
        questions = []
        for text in chooser.choices(texts, k=QUESTIONS):
            start = chooser.randrange(200)
            questions.append(text[start : start + 14])
        for question in questions[:20]:
            await search.search(0, question, top_k=3, score_threshold=1)
        times, cpu = [], time.process_time()
        for question in questions:
            began = time.perf_counter()
            await search.search(0, question, top_k=3, score_threshold=1)
            times.append((time.perf_counter() - began) * 1000)
        cpu = (time.process_time() - cpu) / len(questions) * 1000
    times.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{size:7} chunks: p50 {times[len(times) // 2]:.2f} ms,"
        f" p95 {times[int(len(times) * 0.95)]:.2f} ms, CPU {cpu:.2f} ms a search,"
        f" upsert {1.1 * size / spent:.0f} points/s, peak memory {peak} MB",
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[2_000, 20_000])
    parser.add_argument("--dense", action="store_true")
    arguments = parser.parse_args()
    for size in arguments.sizes:
        await measure(size, RandomEmbedder() if arguments.dense else None)


if __name__ == "__main__":
    asyncio.run(main())
