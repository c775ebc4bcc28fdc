"""Parser processes: their limits, and that the pool heals."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import LoadFault
from kb_service.parsers import Batch, ParserPool

OPTIONS = ChunkOptions(50, 0)


@asynccontextmanager
async def pool(*, memory_mb: int = 2048, silence: float = 60) -> AsyncIterator[ParserPool]:
    parsers = ParserPool(size=1, memory_mb=memory_mb, silence=silence)
    try:
        yield parsers
    finally:
        await parsers.close()


async def parse(parsers: ParserPool, path: Path, extension: str = ".txt") -> list[Batch]:
    return [batch async for batch in parsers.parse(path, extension, OPTIONS)]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    path.write_text("员工每年享有十天带薪年假。" * 1000)
    return path


def children() -> list[int]:
    """Parsers that this process has started and that still run; other tests start other things."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    lists = [(task / "children").read_text().split() for task in tasks.iterdir()]
    return [int(pid) for pids in lists for pid in pids if _is_parser(pid)]


def _is_known(pid: int) -> bool:
    """Also while it has ended and nobody has asked for its exit status."""
    return Path(f"/proc/{pid}").exists()


def _is_parser(pid: str) -> bool:
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and b"kb_service.parser_process" in command.read_bytes()


async def test_the_chunks_come_in_batches_and_the_summary_last(good: Path) -> None:
    async with pool() as parsers:
        batches = await parse(parsers, good)
        assert [len(batch.chunks) for batch in batches[:-1]] == [50] * 6 + [34]
        summary = batches[-1].summary
        assert summary is not None
        assert summary.loader == "TextLoader"
        assert summary.term_counts["年"] == 334
        assert all(one.sparse.indices for batch in batches for one in batch.chunks)


async def test_one_process_serves_many_documents_and_faults(good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"%PDF-1.4 nothing")
    async with pool() as parsers:
        await parsers.warm()
        first = children()
        for _ in range(3):
            await parse(parsers, good)
            with pytest.raises(LoadFault):
                await parse(parsers, bad, ".pdf")
            with pytest.raises(LoadFault):
                await parsers.check(bad, ".txt")
            await parsers.check(good, ".txt")
        assert children() == first


async def test_a_process_that_dies_costs_its_own_document_alone(good: Path) -> None:
    async with pool() as parsers:
        await parsers.warm()
        before = children()
        async with aclosing(parsers.parse(good, ".txt", OPTIONS)) as batches:
            await anext(batches)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(LoadFault, match="解析进程意外退出"):
                async for _ in batches:
                    pass
        assert len(await parse(parsers, good)) == 8
        assert set(children()).isdisjoint(before)


async def test_a_process_that_died_while_idle_is_replaced(good: Path) -> None:
    async with pool() as parsers:
        await parse(parsers, good)
        killed = children()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        for _ in range(1_000):
            if not any(map(_is_known, killed)):
                break
            await asyncio.sleep(0.01)
        assert len(await parse(parsers, good)) == 8


async def test_a_process_that_hangs_is_ended(good: Path) -> None:
    async with pool(silence=2) as parsers:
        await parsers.warm()
        before = children()
        async with aclosing(parsers.parse(good, ".txt", OPTIONS)) as batches:
            await anext(batches)
            for pid in before:
                os.kill(pid, signal.SIGSTOP)
            with pytest.raises(LoadFault, match="解析超时"):
                async for _ in batches:
                    pass
        assert len(await parse(parsers, good)) == 8
        assert set(children()).isdisjoint(before)


async def test_memory_is_limited(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_text("年" * 20_000_000)
    async with pool(memory_mb=200) as parsers:
        with pytest.raises(LoadFault, match="内存"):
            await parse(parsers, path)
        assert len(await parse(parsers, good)) == 8


async def test_an_abandoned_document_does_not_leak_into_the_next(good: Path) -> None:
    async with pool() as parsers:
        async with aclosing(parsers.parse(good, ".txt", OPTIONS)) as batches:
            await anext(batches)
        assert len(await parse(parsers, good)) == 8


async def test_given_passages_are_indexed_page_by_page() -> None:
    async def pages() -> AsyncIterator[list[CustomDoc]]:
        for page in range(3):
            yield [CustomDoc(f"第{page}页第{n}段", {"n": n}) for n in range(70)]

    async with pool() as parsers:
        batches = [batch async for batch in parsers.index(pages())]
        assert [len(batch.chunks) for batch in batches] == [50, 20] * 3 + [0]
        assert batches[-1].summary is not None
        assert batches[0].chunks[0].doc == CustomDoc("第0页第0段", {"n": 0})


async def test_nothing_to_index_is_a_fault() -> None:
    async def pages() -> AsyncIterator[list[CustomDoc]]:
        yield [CustomDoc("  ", {})]

    async with pool() as parsers:
        with pytest.raises(LoadFault):
            [batch async for batch in parsers.index(pages())]


async def test_a_process_that_holds_too_much_makes_room(good: Path) -> None:
    async with pool(memory_mb=150) as parsers:  # a fifth of which is less than it needs at rest
        seen = []
        for _ in range(2):
            await parsers.warm()
            seen += children()
            assert len(await parse(parsers, good)) == 8
        assert len(set(seen)) == 2
