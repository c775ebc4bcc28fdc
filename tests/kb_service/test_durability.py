"""What a killed process leaves behind, and what the next start makes of it."""

import asyncio
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_service.embeddings.available import Embedders
from kb_service.settings import KbSettings
from kb_service.vectors import open_index
from tests.kb_service.conftest import Kb, connected

pytestmark = pytest.mark.e2e

Make = Callable[..., KbSettings]
OLD = "员工每年享有十天带薪年假。".encode()
LARGE = "".join(f"第{n}条：员工每年享有带薪年假，按规定执行。" for n in range(40_000)).encode()


@asynccontextmanager
async def process(folder: Path, **settings: str) -> AsyncIterator[tuple[Kb, int]]:
    """A kb_service as it is run, to be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "CHAT2LLM_DATA": str(folder),
        "KB_PORT": str(port),
        "KB_SAMPLE": "false",
        **settings,
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kb_service"),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            await _until(lambda: _answers(http))
            yield Kb(http), child.pid
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _until(condition: Callable[[], Any]) -> None:
    for _ in range(3_000):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


@contextmanager
def rows(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "kb" / "kb.db", timeout=20)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


async def points(folder: Path, kb_id: int, *, collection: str = "") -> int:
    collection = collection or Embedders().default.collection
    index = open_index(
        url=None, api_key=None, folder=folder / "kb" / "qdrant", collection=collection
    )
    await index.ensure(None)
    try:
        return await index.count(kb_id)
    finally:
        await index.close()


async def test_what_was_acknowledged_survives_a_kill(make_settings: Make, tmp_path: Path) -> None:
    async with process(make_settings().chat2llm_data) as (kb, pid):
        await kb.create()
        assert await kb.uploaded(("a.txt", OLD)) == {}
        os.kill(pid, signal.SIGKILL)
    async with connected(make_settings()) as kb:
        assert await kb.files() == ["a.txt"]
        assert len(await kb.search("年假")) == 1


@pytest.mark.parametrize("name", ["new.txt", "old.txt"])
async def test_a_kill_in_the_middle_loses_nothing(
    make_settings: Make, tmp_path: Path, name: str
) -> None:
    """The old version answers until the new one, begun again by the next start, takes its place."""
    async with process(make_settings().chat2llm_data) as (kb, pid):
        await kb.create()
        await kb.uploaded(("old.txt", OLD))

        async def is_half_done() -> bool:
            with rows(tmp_path) as database:
                (chunks,) = database.execute("SELECT count(*) FROM chunk").fetchone()
            return bool(chunks > 1)

        upload = asyncio.create_task(kb.upload((name, LARGE)))
        await _until(is_half_done)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await upload
    assert len(list((tmp_path / "kb" / "content").glob("*/*"))) == 2
    async with connected(make_settings()) as kb:
        assert await kb.files() == ["old.txt"]
        assert [one["page_content"] for one in await kb.search("带薪年假", top_k=10)] == [
            OLD.decode()
        ]

        async def is_done() -> bool:
            with rows(tmp_path) as database:
                states = database.execute("SELECT DISTINCT state FROM ingest_job").fetchall()
            return bool(states == [("done",)])

        await _until(is_done)
        names = await kb.files()
        assert names == sorted({"old.txt", name}, reverse=True)
    with rows(tmp_path) as database:
        (chunks,) = database.execute("SELECT count(*) FROM chunk").fetchone()
        (listed,) = database.execute("SELECT sum(docs_count) FROM knowledge_file").fetchone()
        states = database.execute("SELECT state FROM index_version").fetchall()
    assert chunks == listed
    assert states == [("live",)] * len(names)
    assert await points(tmp_path, 1) == chunks
    assert len(list((tmp_path / "kb" / "content").glob("*/*"))) == len(names)


async def test_a_removal_that_died_half_way_is_finished(
    make_settings: Make, tmp_path: Path
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("a.txt", OLD), ("b.txt", OLD))
    with rows(tmp_path) as database:  # as `delete_docs` leaves it before the points are gone
        database.execute("UPDATE index_version SET state = 'retired' WHERE rowid = 1")
        database.execute("DELETE FROM knowledge_file WHERE file_name = 'a.txt'")
    assert await points(tmp_path, 1) == 2
    async with connected(make_settings()) as kb:
        assert len(await kb.search("年假", top_k=10)) == 1
    assert await points(tmp_path, 1) == 1
    with rows(tmp_path) as database:
        assert database.execute("SELECT count(*) FROM chunk").fetchone() == (1,)


async def test_removing_leaves_no_row_point_or_file(make_settings: Make, tmp_path: Path) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("a.txt", OLD), ("b.txt", OLD))
        await kb.post("/knowledge_base/delete_knowledge_base", "kb1")
    with rows(tmp_path) as database:
        for table in ("knowledge_base", "knowledge_file", "index_version", "chunk"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert await points(tmp_path, 1) == 0
    assert not list((tmp_path / "kb" / "content").glob("*/*"))


async def test_removing_while_a_file_comes_in_leaves_nothing(
    make_settings: Make, tmp_path: Path
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        upload = asyncio.create_task(kb.uploaded(("a.txt", LARGE[:300_000])))

        async def has_begun() -> bool:
            with rows(tmp_path) as database:
                (versions,) = database.execute("SELECT count(*) FROM index_version").fetchone()
            return bool(versions)

        await _until(has_begun)
        await kb.post("/knowledge_base/delete_knowledge_base", "kb1")
        assert list(await upload) == ["a.txt"]
    with rows(tmp_path) as database:
        for table in ("knowledge_file", "index_version", "chunk"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert await points(tmp_path, 1) == 0
    assert not list((tmp_path / "kb" / "content").glob("*/*"))


async def test_ids_of_removed_knowledge_bases_are_not_given_again(
    make_settings: Make, tmp_path: Path
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create("kb1")
        await kb.post("/knowledge_base/delete_knowledge_base", "kb1")
        await kb.create("kb2")
    with rows(tmp_path) as database:
        assert database.execute("SELECT id FROM knowledge_base").fetchall() == [(2,)]


async def test_a_start_keeps_everything(make_settings: Make) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("a.txt", OLD))
        before = await kb.search("年假")
        listed = (await kb.get("/knowledge_base/list_knowledge_bases_v2")).json()
    async with connected(make_settings()) as kb:
        assert await kb.search("年假") == before
        assert (await kb.get("/knowledge_base/list_knowledge_bases_v2")).json() == listed
