"""`make bench-ingest`: what thousands of files coming in cost those who chat and search meanwhile.

Starts its own five processes on free ports with a data folder of its own, sends load to loopback
only, kills kb_service once in the middle, and ends everything that it started. Needs
CHAT2LLM_EVAL_DATA for its news articles; about ten minutes.
"""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pypdfium2

from bench.connection import Connection
from bench.figures import Times
from bench.servers import Vendor, memory_mb
from kb_service.entities import ChunkOptions
from kb_service.parsers import ParserPool
from tests.stack import Stack, is_ready, running_stack

_PDF = Path(__file__).parent.parent / "tests" / "kb_service" / "files" / "manual.pdf"
_PAGES = 200
_KB = "news"
_FILES_A_REQUEST = 100
_IDLE_SECONDS = 30
_PAUSE = 0.1  # a person a second of each kind, ten times over
_SAMPLED = 40
_FAR = "; ".join(f"{kind} 1000000000/minute" for kind in ("user", "key", "client", "address"))


def main() -> None:
    if sys.dont_write_bytecode:
        sys.exit("unset PYTHONDONTWRITEBYTECODE: without byte code the figures mean nothing")
    print("| what | measured | against |\n|---|---|---|", flush=True)
    asyncio.run(measure_pdf())
    articles = _articles()
    if not articles:
        sys.exit("CHAT2LLM_EVAL_DATA has no crud_news: nothing more to measure")
    settings = {
        "ENABLE_LLM_MODEL": "custom-api",
        "CUSTOM_API_MODEL": "stub",
        "LIMIT_CHAT": _FAR,
        "LIMIT_SEARCH": _FAR,
        "LIMIT_UPLOAD": _FAR,
    }
    with (
        Vendor() as vendor,
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder), CUSTOM_API_BASE_URL=vendor.url, **settings) as stack,
    ):
        asyncio.run(measure_news(stack, articles))


async def measure_pdf() -> None:
    """A born-digital document of many pages, one worker, to chunks with their terms."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.pdf"
        made = pypdfium2.PdfDocument.new()
        source = pypdfium2.PdfDocument(_PDF)
        while len(made) < _PAGES:
            made.import_pages(source)
        made.save(path)
        parsers = ParserPool(size=1)
        await parsers.warm()
        started = time.perf_counter()
        chunks = 0
        async for batch in parsers.parse(path, ".pdf", ChunkOptions(250, 50)):
            chunks += len(batch.chunks)
        seconds = time.perf_counter() - started
        await parsers.close()
    rate = len(made) / seconds
    report("PDF with text, one worker", f"{rate:.0f} pages/s, {chunks} chunks", ">= 50 pages/s")


def _articles() -> list[str]:
    folder = Path(os.environ.get("CHAT2LLM_EVAL_DATA") or "/nonexistent") / "crud_news"
    lines = [line for part in sorted(folder.glob("*.txt")) for line in part.open(encoding="utf-8")]
    return [line.strip() for line in lines if line.strip()]


@dataclass(slots=True)
class People:
    """Who searches and chats the whole time, one after the other."""

    stack: Stack
    searches: Times = field(default_factory=Times)
    chats: Times = field(default_factory=Times)
    away: int = 0

    async def search(self) -> None:
        body = {"knowledge_base_name": "chat2llm", "query": "宿主应用怎样签发令牌？"}
        await self._ask_for_ever("/knowledge_base/search_docs", body, self.searches)

    async def chat(self) -> None:
        body = {"query": "你好", "session_id": uuid.uuid4().hex, "stream": True}
        await self._ask_for_ever("/chat/chat", body, self.chats)

    async def _ask_for_ever(self, path: str, body: Mapping[str, object], times: Times) -> None:
        headers = _key(self.stack) | {"Content-Type": "application/json"}
        async with Connection(self.stack.url) as connection:
            while True:
                try:
                    answer = await connection.ask("POST", path, headers, json.dumps(body).encode())
                except (OSError, asyncio.IncompleteReadError):
                    self.away += 1
                else:
                    if answer.status == 200:
                        times.note(answer.milliseconds)
                    else:
                        self.away += 1
                await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def busy_people(stack: Stack) -> AsyncIterator[People]:
    people = People(stack)
    tasks = [asyncio.create_task(people.search()), asyncio.create_task(people.chat())]
    try:
        yield people
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure_news(stack: Stack, articles: list[str]) -> None:
    async with httpx.AsyncClient(base_url=stack.url, headers=_key(stack), timeout=120) as operator:
        new = {"knowledge_base_name": _KB, "kb_zh_name": "新闻", "kb_info": ""}
        (await operator.post("/knowledge_base/create_knowledge_base", json=new)).raise_for_status()
        await _wait_until_indexed(operator, "chat2llm")
        async with busy_people(stack) as idle:
            await asyncio.sleep(_IDLE_SECONDS)
        memory = [memory_mb(stack)]
        started = time.perf_counter()
        async with busy_people(stack) as during:
            half = len(articles) // 2
            await _upload(operator, articles[:half], 0)
            await _wait_until_indexed(operator, _KB, memory, stack)
        await _upload(operator, articles[half:], half)
        _kill_kb_service(stack)
        await asyncio.to_thread(_wait_until_back, stack)
        await _wait_until_indexed(operator, _KB, memory, stack)
        seconds = time.perf_counter() - started
        await _report_news(operator, articles, seconds, memory)
    for name, before, then in (
        ("search", idle.searches, during.searches),
        ("chat", idle.chats, during.chats),
    ):
        ratio = then.p95 / before.p95
        report(
            f"... {name} meanwhile, p95 {ratio:.2f}x of idle", str(then), f"<= 1.5x; idle {before}"
        )
    report("... not answered meanwhile", str(during.away), "0")


async def _upload(operator: httpx.AsyncClient, articles: list[str], first: int) -> None:
    for start in range(0, len(articles), _FILES_A_REQUEST):
        files = [
            ("files", (f"{first + start + n:04}.txt", text.encode()))
            for n, text in enumerate(articles[start : start + _FILES_A_REQUEST])
        ]
        answer = await operator.post(f"/admin/knowledge-bases/{_KB}/files", files=files)
        if answer.status_code != 202 or answer.json()["refused"]:
            raise RuntimeError(answer.text[:500])


async def _wait_until_indexed(
    operator: httpx.AsyncClient,
    name: str,
    memory: list[float] | None = None,
    stack: Stack | None = None,
) -> None:
    for state in ("running", "queued", "running"):
        while await _count(operator, "/admin/jobs", kb=name, state=state):
            if memory is not None and stack is not None:
                memory.append(await asyncio.to_thread(memory_mb, stack))
            await asyncio.sleep(1)


async def _count(operator: httpx.AsyncClient, path: str, **query: str) -> int:
    answer = await operator.get(path, params=query | {"page_size": "1"})
    answer.raise_for_status()
    return int(answer.json()["total"])


def _kill_kb_service(stack: Stack) -> None:
    log = (stack.data / "run" / "supervisord.log").read_text()
    pids = re.findall(r"spawned: 'kb_service' with pid (\d+)", log)
    os.kill(int(pids[-1]), signal.SIGKILL)


def _wait_until_back(stack: Stack) -> None:
    deadline = time.monotonic() + 60
    time.sleep(0.5)
    while not all(is_ready(port) for port in stack.ports.values()):
        if time.monotonic() > deadline:
            raise TimeoutError("kb_service did not come back")
        time.sleep(0.1)


async def _report_news(
    operator: httpx.AsyncClient, articles: list[str], seconds: float, memory: list[float]
) -> None:
    path = f"/admin/knowledge-bases/{_KB}/files"
    done = await _count(operator, path, state="done")
    found = 0
    step = len(articles) // _SAMPLED
    for number in range(0, step * _SAMPLED, step):
        body = {"knowledge_base_name": _KB, "query": articles[number][30:90], "top_k": 5}
        answer: list[dict[str, Any]] = (
            await operator.post("/knowledge_base/search_docs", json=body)
        ).json()
        found += f"{number:04}.txt" in {passage["metadata"]["source"] for passage in answer}
    report(
        f"{len(articles)} news articles, kb_service killed in the middle",
        f"{done} indexed in {seconds:.0f} s ({done / seconds:.1f} files/s)",
        f"all; {found} of {_SAMPLED} sampled ones found among five",
    )
    report("... memory of all five, most", f"{max(memory):.0f} MB", f"idle {memory[0]:.0f} MB")


def _key(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.admin_key}"}


def report(name: str, value: str, reference: str) -> None:
    print(f"| {name} | {value} | {reference} |", flush=True)


if __name__ == "__main__":
    main()
