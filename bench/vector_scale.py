"""`make bench-vectors`: search by size, through the engine alone and through `search_docs`.

    python -m bench.vector_scale [--tenants 1 100] [2000 100000]

Chunks of 250 characters are drawn from a vocabulary with the frequencies of real text, into one
knowledge base or evenly into many; each once by words alone and once with random vectors of 512
dimensions, which a stub of an embeddings endpoint gives questions too. Budget: lexical p95 at
100,000 chunks <= 20 ms.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kb_service.embeddings.available import LEXICAL, Embedders
from kb_service.embeddings.endpoint import OpenAIEmbedder
from kb_service.indexer import pack
from kb_service.models import LIVE, CollectionRow, VersionRow
from kb_service.store import KnowledgeBaseStore
from kb_service.tokens import sparse_vector, terms
from kb_service.vectors import Point, VectorIndex, open_index
from kb_service.wording import Lexicon
from servicekit.database import Database, sqlite_url
from servicekit.identity import CALLER_HEADER, Caller, sign_caller

QUESTIONS = 300
DIMENSIONS = 512
PAGE = 1_000
FILE = 1_000  # chunks
TOP_K = 3
MODEL = "stub"
Search = Callable[[str, str], Awaitable[None]]


class Author:
    """Writes text whose word frequencies fall like those of real text, the same at every run."""

    def __init__(self) -> None:
        self._random = random.Random(11)
        common = [chr(0x4E00 + 7 * i % 6000) for i in range(3000)]
        self._words = [
            "".join(self._random.choices(common, k=self._random.choice((1, 2, 2, 2, 3))))
            for _ in range(40_000)
        ]
        self._noise = [self._random.random() - 0.5 for _ in range(100_000)]

    def write(self, characters: int) -> str:
        text = ""
        while len(text) < characters:
            rank = int(10 * self._random.paretovariate(0.6)) - 10  # the first is 6 % of all words
            text += self._words[rank % len(self._words)]
        return text[:characters]

    def vector(self) -> list[float]:
        start = self._random.randrange(len(self._noise) - DIMENSIONS)
        return self._noise[start : start + DIMENSIONS]


@dataclass
class Corpus:
    """Two knowledge bases for each tenant, one by words alone and one with vectors."""

    folder: Path
    author: Author
    tenants: int
    ids: dict[str, list[int]] = field(default_factory=lambda: {"lexical": [], "hybrid": []})
    questions: list[tuple[int, str]] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: float = 0.0

    async def fill(self, size: int, indexes: dict[str, VectorIndex], database: Database) -> None:
        await self._make_bases(database)
        chooser = random.Random(5)
        asked = {chooser.randrange(size) for _ in range(QUESTIONS)}
        for start in range(0, size, PAGE):
            pages: dict[str, list[Point]] = {"lexical": [], "hybrid": []}
            for number in range(start, min(start + PAGE, size)):
                text = self.author.write(250)
                if number in asked:
                    begin = chooser.randrange(200)
                    self.questions.append((number % self.tenants, text[begin : begin + 14]))
                self._add(number, text, pages)
            began = time.perf_counter()
            for kind, points in pages.items():
                await indexes[kind].upsert(points)
            self.seconds += time.perf_counter() - began
        async with database.transaction() as session:
            for version, counts in self.counts.items():
                kind, tenant, _ = version.split(".")
                session.add(
                    VersionRow(
                        id=version,
                        kb_id=self.ids[kind][int(tenant)],
                        collection=_collections()[kind],
                        state=LIVE,
                        chunks=counts.pop(""),
                        term_counts=pack(counts),
                    )
                )
        for index in indexes.values():
            await index.flush()

    async def _make_bases(self, database: Database) -> None:
        rows = KnowledgeBaseStore(database)
        for kind, ids in self.ids.items():
            for tenant in range(self.tenants):
                made = await rows.add(
                    f"{kind}-{tenant}",
                    zh_name="x",
                    info="",
                    vs_type="qdrant",
                    embed_model=LEXICAL if kind == "lexical" else MODEL,
                    owner_client="admin",
                    questions=(),
                )
                ids.append(made.id)

    def _add(self, number: int, text: str, pages: dict[str, list[Point]]) -> None:
        tenant, file = number % self.tenants, number // self.tenants // FILE
        counts = Counter(terms(text))
        for kind, page in pages.items():
            version = f"{kind}.{tenant}.{file}"
            self.counts.setdefault(version, Counter()).update([*counts, ""])
            page.append(
                Point(
                    id=str(uuid.UUID(int=number)),
                    kb_id=self.ids[kind][tenant],
                    version=version,
                    sparse=sparse_vector(counts),
                    dense=self.author.vector() if kind == "hybrid" else None,
                    payload={
                        "chunk_id": str(number),
                        "position": number // self.tenants % FILE,
                        "file_name": f"{file}.txt",
                        "content": text,
                        "metadata": {},
                    },
                )
            )


def _collections() -> dict[str, str]:
    stub = OpenAIEmbedder(base_url="http://127.0.0.1:1/v1", api_key="", model=MODEL)
    return {
        "lexical": Embedders().default.collection,
        "hybrid": Embedders([stub]).default.collection,
    }


async def measure(size: int, tenants: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), Author(), tenants)
        database = Database(sqlite_url(Path(folder) / "kb" / "kb.db"), package="kb_service")
        await database.upgrade()
        indexes = {
            kind: open_index(
                url=None, api_key=None, folder=Path(folder) / "kb" / "qdrant", collection=name
            )
            for kind, name in _collections().items()
        }
        await indexes["lexical"].ensure(None)
        await indexes["hybrid"].ensure(DIMENSIONS)
        await corpus.fill(size, indexes, database)
        async with database.transaction() as session:
            session.add(CollectionRow(name=_collections()["hybrid"], dense_size=DIMENSIONS))
        await database.close()
        print(f"{size:,} chunks in {tenants}: {2 * size / corpus.seconds:.0f} points/s", flush=True)
        engine = {kind: await _engine(corpus, kind, index) for kind, index in indexes.items()}
        for index in indexes.values():
            await index.close()
        async with _service(Path(folder)) as (search, memory_mb):
            for kind in indexes:
                ask = partial(_ask, search, kind)
                alone, crowd = await _times(corpus, 1, ask), await _times(corpus, 16, ask)
                print(
                    f"| {size:,} | {tenants} | {kind} | {engine[kind]} | {alone} | {crowd} |",
                    flush=True,
                )
            print(f"service {memory_mb()} MB, load {os.getloadavg()[0]:.1f}", flush=True)


async def _ask(search: Search, kind: str, question: tuple[int, str]) -> None:
    await search(f"{kind}-{question[0]}", question[1])


async def _engine(corpus: Corpus, kind: str, index: VectorIndex) -> str:
    async def ask(question: tuple[int, str]) -> None:
        dense = corpus.author.vector() if kind == "hybrid" else None
        words = Lexicon().wording(question[1]).vector
        await index.query(corpus.ids[kind][question[0]], words, dense, 2 * TOP_K + 4)

    return await _times(corpus, 1, ask)


async def _times(
    corpus: Corpus, at_once: int, ask: Callable[[tuple[int, str]], Awaitable[None]]
) -> str:
    times: list[float] = []
    slots = asyncio.Semaphore(at_once)

    async def timed(question: tuple[int, str]) -> None:
        async with slots:
            began = time.perf_counter()
            await ask(question)
            times.append((time.perf_counter() - began) * 1000)

    for question in corpus.questions[:20]:
        await ask(question)
    times.clear()
    began = time.perf_counter()
    await asyncio.gather(*map(timed, corpus.questions))
    rate = len(times) / (time.perf_counter() - began)
    times.sort()
    shown = f"p50 {times[len(times) // 2]:.1f} p95 {times[int(len(times) * 0.95)]:.1f} ms"
    return shown if at_once == 1 else f"{shown}, {rate:.0f}/s"


@asynccontextmanager
async def _service(
    folder: Path,
) -> AsyncIterator[tuple[Search, Callable[[], int]]]:
    """The service as it is run, on the filled folder; gives a search and its memory."""
    key, port = Ed25519PrivateKey.generate(), _free_port()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "keys").mkdir()
    (folder / "keys" / "caller.pub").write_bytes(public)
    caller = Caller("admin", "u1", "u1", ("kb:read", "admin"))
    headers = {CALLER_HEADER: sign_caller(caller, key, expires_at=time.time() + 86_400)}
    async with _stub() as embeddings:
        settings = {
            "CHAT2LLM_DATA": str(folder),
            "KB_PORT": str(port),
            "KB_SAMPLE": "false",
            "EMBEDDING_API_BASE_URL": embeddings,
            "EMBEDDING_API_MODEL": MODEL,
            "LOG_LEVEL": "error",
        }
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kb_service"), env=os.environ | settings
        )
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
                await _until_ready(http)

                async def search(name: str, query: str) -> None:
                    body = {"query": query, "knowledge_base_name": name, "top_k": TOP_K}
                    async with http.post("/knowledge_base/search_docs", json=body) as answer:
                        found = json.loads(await answer.read())
                        if answer.status != 200 or not isinstance(found, list):
                            raise RuntimeError(f"{answer.status}: {found}")

                yield search, lambda: _memory_mb(child.pid)
        finally:
            child.terminate()
            await child.wait()


async def _until_ready(http: aiohttp.ClientSession) -> None:
    for _ in range(600):
        try:
            async with http.get("/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError("the service did not start")


@asynccontextmanager
async def _stub() -> AsyncIterator[str]:
    """An embeddings endpoint whose vectors mean nothing."""
    author = Author()

    async def embed(request: web.BaseRequest) -> web.Response:
        texts = (await request.json())["input"]
        data = [{"index": i, "embedding": author.vector()} for i, _ in enumerate(texts)]
        return web.json_response({"object": "list", "model": MODEL, "data": data})

    runner = web.ServerRunner(web.Server(embed))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _memory_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) >> 10
    return 0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[2_000, 20_000])
    parser.add_argument("--tenants", nargs="*", type=int, default=[1, 100])
    arguments = parser.parse_args()
    print("| chunks | tenants | search | engine, c=1 | search_docs, c=1 | search_docs, c=16 |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in arguments.sizes:
        for tenants in arguments.tenants:
            await measure(size, tenants)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"peak memory of the measuring process {peak} MB")


if __name__ == "__main__":
    asyncio.run(main())
