"""Parser processes: their limits, and that the pool heals."""

import asyncio
import contextlib
import gc
import io
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from subprocess import run

import anyio
import pytest

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import LoadFault
from kb_service.parser_process import _Work, read_frame
from kb_service.parsers import Batch, ParserPool
from tests.kb_service.documents import pdf_of
from tests.kb_service.files.make import FOLDER
from tests.stack import ROOT

OPTIONS = ChunkOptions(50, 0)


@asynccontextmanager
async def pool(
    *, memory_mb: int = 2048, silence: float = 60, idle: float = 60
) -> AsyncIterator[ParserPool]:
    parsers = ParserPool(size=1, memory_mb=memory_mb, silence=silence, idle=idle)
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


_OTHERS = set[int]()


@pytest.fixture(autouse=True)
def _only_our_own() -> Iterator[None]:
    _OTHERS.update(children())
    yield
    _OTHERS.clear()


def children() -> list[int]:
    """Parsers that a test of this file has started and that still run."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    lists = [(task / "children").read_text().split() for task in tasks.iterdir()]
    return [
        int(pid) for pids in lists for pid in pids if _is_parser(pid) if int(pid) not in _OTHERS
    ]


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


async def test_a_process_that_cannot_start_says_nothing_bad_of_the_file(good: Path) -> None:
    async with pool(memory_mb=1) as parsers:
        await parsers.warm()
        with pytest.raises(LoadFault, match="could not be started"):
            await parse(parsers, good)


@pytest.mark.parametrize("of", ["task", "scope"])
async def test_a_start_that_is_cancelled_leaves_nothing(of: str) -> None:
    """At whatever step; a pipe that asyncio had lost would show as a warning, which is an error."""

    async def warm(parsers: ParserPool, scope: anyio.CancelScope) -> None:
        with scope:
            await parsers.warm()

    for steps in range(20):
        scope = anyio.CancelScope()
        async with pool() as parsers:
            warming = asyncio.create_task(warm(parsers, scope))
            for _ in range(steps):
                await asyncio.sleep(0)
            if of == "scope":
                scope.cancel()
            else:
                warming.cancel()
            await asyncio.wait({warming})
        assert children() == [], steps
    gc.collect()


async def test_a_process_that_has_nothing_to_do_gives_its_memory_back(good: Path) -> None:
    async with pool(idle=0.1) as parsers:
        keeping = asyncio.create_task(parsers.run())
        await parse(parsers, good)
        (used,) = children()
        await _gone(used)
        assert (await parse(parsers, good))[-1].summary
        assert used not in children()
        keeping.cancel()
        await asyncio.wait([keeping])


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


async def test_a_process_gets_nothing_of_the_services_surroundings(good: Path) -> None:
    async with pool() as parsers:
        await parsers.check(good, ".txt")
        (pid,) = children()
        process = Path(f"/proc/{pid}")
        names = {
            entry.partition(b"=")[0]
            for entry in (process / "environ").read_bytes().split(b"\0")
            if entry
        }
        assert names == {b"PATH", b"LANG", b"TMPDIR"}
        limits = {
            line[:26].strip(): line[26:].split()[0]
            for line in (process / "limits").read_text().splitlines()
        }
        assert limits["Max core file size"] == "0"
        assert limits["Max address space"] == str(2048 << 20)
        assert limits["Max open files"] == "256"
        assert os.getpgid(pid) == pid


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine lets nobody leave the network",
)
async def test_a_process_has_no_network() -> None:
    async with pool() as parsers:
        await parsers.warm()
        (pid,) = children()
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


async def test_a_process_ends_with_the_service(good: Path) -> None:
    starter = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from kb_service.parsers import ParserPool\n"
        "async def main():\n"
        "    pool = ParserPool(size=1)\n"
        "    await pool.check(Path(sys.argv[1]), '.txt')\n"
        "    print(pool._idle[0]._process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", starter, str(good)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert service.stdout is not None
    pid = int(await service.stdout.readline())
    os.kill(pid, signal.SIGSTOP)  # so that it cannot read that its input has ended
    service.kill()
    await service.wait()
    await _gone(pid)


@pytest.mark.skipif(
    shutil.which("soffice") is None and not os.environ.get("CI"), reason="LibreOffice is missing"
)
async def test_all_that_a_process_started_ends_with_it() -> None:
    async with pool(silence=3) as parsers:
        parsing = asyncio.create_task(parse(parsers, FOLDER / "manual.doc", ".doc"))
        while not (pids := children()) or len(_group(pids[0])) < 3:
            await asyncio.sleep(0.005)
            assert not parsing.done()
        os.killpg(pids[0], signal.SIGSTOP)
        with pytest.raises(LoadFault, match="解析超时"):
            await parsing
        for _ in range(1_000):
            if not _group(pids[0]):
                break
            await asyncio.sleep(0.01)
        assert _group(pids[0]) == []
        assert _folders(pids[0]) == []


def _folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"chat2llm-office-{pid}-*"))


def _group(leader: int) -> list[int]:
    """Of a process group, those that still run."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    states = ((pid, _state(pid)) for pid in pids)  # asked once: it may end meanwhile
    return [pid for pid, state in states if state[2:3] == [str(leader)] and state[0] != "Z"]


def _state(pid: int) -> list[str]:
    """From the third field on, which is the state; nothing when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


async def test_a_process_that_computes_without_end_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    path.write_text("年假")
    async with pool() as parsers:
        await parsers.check(path, ".txt")
        (pid,) = children()
        seconds, _ = resource.prlimit(pid, resource.RLIMIT_CPU)
        assert 300 <= seconds <= 900
        used = sum(map(int, _state(pid)[11:13])) // os.sysconf("SC_CLK_TCK")
        resource.prlimit(pid, resource.RLIMIT_CPU, (used + 2, used + 2))
        path.write_text("年假、" * 10_000_000)
        with pytest.raises(LoadFault, match="解析超时。It took too long"):
            await parse(parsers, path)


async def test_what_a_process_did_before_takes_no_time_from_passages(good: Path) -> None:
    async def passages() -> AsyncIterator[list[CustomDoc]]:
        yield [CustomDoc("年假", {})]

    async with pool() as parsers:
        await parse(parsers, good)
        (pid,) = children()
        _, most = resource.prlimit(pid, resource.RLIMIT_CPU)
        resource.prlimit(pid, resource.RLIMIT_CPU, (100, most))  # nearly used up
        assert [batch async for batch in parsers.index(passages())]
        assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] >= 300
        assert children() == [pid]


def test_progress_shows_when_nothing_was_found_for_a_while() -> None:
    output = io.BytesIO()
    work = _Work(output, memory_mb=1024)
    work.show_progress(1, 4_000)
    assert not output.getvalue()
    work._shown -= 10
    work.show_progress(2, 4_000)
    work.show_progress(3, 4_000)
    output.seek(0)
    assert read_frame(output) == {"chunks": [], "progress": [2, 4_000]}
    assert not output.read()


async def test_notes_come_with_the_summary(tmp_path: Path) -> None:
    path = tmp_path / "damaged.pdf"
    text = b"BT /F1 12 Tf 60 700 Td (Leave is ten days.) Tj ET"
    path.write_bytes(pdf_of(text, text, missing=[2]))
    async with pool() as parsers:
        summary = (await parse(parsers, path, ".pdf"))[-1].summary
        assert summary is not None
        assert summary.notes == ["已跳过损坏的页：2。Damaged pages were skipped: 2."]


NESTED = {
    ".html": b"<div>" * 100_000 + b"x",
    ".htm": b"<b>" * 100_000 + b"x",
    ".json": b"[" * 500_000,
    ".xml": b"<a>" * 500_000,
    ".md": b"> " * 300_000 + b"x",
    ".rtf": b"{\\rtf1 " + b"{\\field{\\*\\fldinst{" * 50_000 + b"x",
    ".rst": b"`a <" * 50_000,
    ".eml": b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 5_000,
}


@pytest.mark.parametrize("extension", NESTED)
async def test_deep_nesting_takes_no_time(good: Path, extension: str, tmp_path: Path) -> None:
    path = tmp_path / "nested"
    path.write_bytes(NESTED[extension])
    async with pool() as parsers:
        await parsers.check(good, ".txt")
        (pid,) = children()
        with contextlib.suppress(LoadFault):
            await parse(parsers, path, extension)
        if children() == [pid]:
            ticks = _state(pid)[11:13]
            assert sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") < 6


async def _gone(pid: int) -> None:
    for _ in range(1_000):
        if not _is_parser(str(pid)):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it is still there")
