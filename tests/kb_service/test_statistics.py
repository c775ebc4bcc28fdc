"""What is searched for and not found, counted without a statement on the way of a search."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from kb_service.entities import SearchCounts
from kb_service.settings import KbSettings
from kb_service.statistics import Tally
from kb_service.store import StatisticsStore
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import ADMIN, OWNER, READER, Kb, caller_header, connected

Make = Callable[..., KbSettings]
TEXT = ("a.txt", "员工每年享有十天带薪年假，请在系统中提交申请。".encode())
WIRE, CHAT = "/knowledge_base/search_docs", "/internal/search"


async def numbers(kb: Kb, name: str = "kb1", who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = await kb.get(f"/admin/knowledge-bases/{name}/statistics", who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask(kb: Kb, query: str, path: str = WIRE, **more: Any) -> None:
    body = {"query": query, "knowledge_base_name": "kb1"} | more
    assert (await kb.post(path, body, READER)).status_code == 200


async def test_a_knowledge_base_in_numbers(kb: Kb) -> None:
    await kb.create()
    empty = await numbers(kb)
    assert empty == {
        "knowledge_base": "kb1",
        "files": 0,
        "chunks": 0,
        "characters": 0,
        "searches": 0,
        "misses": 0,
        "last_search": None,
        "missed_queries": [],
    }
    await kb.uploaded(TEXT, ("b.txt", "出差住宿标准为每晚五百元。".encode()))
    begun = datetime.now(UTC)
    for path in (WIRE, CHAT):
        await ask(kb, "年假有几天", path)
        await ask(kb, "量子力学", path)
    found = await numbers(kb)
    characters = len(TEXT[1].decode()) + len("出差住宿标准为每晚五百元。")
    assert (found["files"], found["chunks"], found["characters"]) == (2, 2, characters)
    assert (found["searches"], found["misses"]) == (4, 2)
    assert begun <= datetime.fromisoformat(found["last_search"]) <= datetime.now(UTC)
    [missed] = found["missed_queries"]
    assert (missed["query"], missed["count"]) == ("量子力学", 2)
    assert set(missed) == {"query", "count", "last_time"}
    assert (await numbers(kb))["searches"] == 4


async def test_what_asks_for_nothing_misses_nothing(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    for query in ("", "你好", "？？", "的"):
        await ask(kb, query)
    await ask(kb, "量子力学", top_k=0)
    found = await numbers(kb)
    assert (found["searches"], found["misses"], found["missed_queries"]) == (0, 0, [])


async def test_the_last_hundred_missed_queries_are_kept_each_once(kb: Kb) -> None:
    await kb.create()
    for number in range(60):
        await ask(kb, f"没有的东西 {number}")
    await numbers(kb)
    for number in range(50, 130):
        await ask(kb, f"没有的东西{number}？")
    await ask(kb, "很长" * 150)
    await ask(kb, " 没有\0的\n\u202e字符")
    found = await numbers(kb)
    assert (found["searches"], found["misses"]) == (142, 142)
    queries = [one["query"] for one in found["missed_queries"]]
    assert (len(queries), len(set(queries))) == (100, 100)
    assert queries[:2] == ["没有的 字符", ("很长" * 150)[:200]]
    counts = {one["query"]: one["count"] for one in found["missed_queries"]}
    assert counts["没有的东西 59"] == 2
    assert counts["没有的东西129？"] == 1
    assert "没有的东西 30" not in counts


async def test_a_search_runs_no_statement(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for path in (WIRE, CHAT):
            await ask(kb, "年假", path)
            await ask(kb, "量子力学", path)
        assert statements == []
        await numbers(kb)
        assert any("search_count" in statement for statement in statements)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_stop_loses_nothing_and_counts_go_on(make_settings: Make) -> None:
    settings = make_settings()
    for number in range(1, 3):
        async with connected(settings) as kb:
            if number == 1:
                await kb.create()
            await ask(kb, "量子力学")
    async with connected(settings) as kb:
        found = await numbers(kb)
        assert (found["searches"], found["misses"]) == (2, 2)
        assert found["missed_queries"][0]["count"] == 2


async def test_nothing_is_left_of_a_knowledge_base_that_is_gone(kb: Kb, tmp_path: Path) -> None:
    await kb.create()
    await ask(kb, "量子力学")
    assert (await numbers(kb))["misses"] == 1
    await ask(kb, "量子力学")  # in memory when the knowledge base goes
    await kb.post("/knowledge_base/delete_knowledge_base", "kb1")
    await kb.create()
    assert (await numbers(kb))["searches"] == 0
    with closing(sqlite3.connect(tmp_path / "kb" / "kb.db")) as database:
        for table in ("search_count", "missed_query"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_whose_statistics_they_are(kb: Kb) -> None:
    """A reader, whose searches they are, sees none of it."""
    await kb.create(who=OWNER)
    assert (await numbers(kb, who=OWNER))["searches"] == 0
    path = "/admin/knowledge-bases/kb1/statistics"
    assert (await kb.get(path, READER)).status_code == 403
    assert (await kb.get(path, caller_header("8", ("kb:read", "kb:write")))).status_code == 404


class Clock:
    """Moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class FailingStore(StatisticsStore):
    """Fails until it is mended, and knows what it was given."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.broken, self.tries = True, 0
        self.has_failed, self.has_written = asyncio.Event(), asyncio.Event()
        self.written: list[dict[int, SearchCounts]] = []

    async def add(self, counts: Any) -> None:
        self.tries += 1
        if self.broken:
            if self.tries == 3:
                self.has_failed.set()
            raise OSError("the disk is full")
        self.written.append(counts)
        self.has_written.set()


@pytest.fixture
async def store(tmp_path: Path) -> FailingStore:
    return FailingStore(Database(sqlite_url(tmp_path / "kb.db"), package="kb_service"))


async def test_what_could_not_be_written_is_kept(store: FailingStore) -> None:
    tally = Tally(store, clock=Clock())
    tally.note_search(1, "量子", found=False)
    tally.note_question(1, "问？")
    with pytest.raises(OSError, match="full"):
        await tally.write()
    tally.note_search(1, "量子", found=False)
    tally.note_search(1, "年假", found=True)
    tally.note_question(1, "问")
    tally.note_search(2, "别的", found=True)
    with pytest.raises(OSError, match="full"):
        await tally.write()
    store.broken = False
    await tally.write()
    await tally.write()
    [counts] = store.written
    assert (counts[1].searches, counts[1].misses, counts[2].searches) == (3, 2, 1)
    [missed] = counts[1].missed.values()
    assert (missed.query, missed.count) == ("量子", 2)
    assert list(counts[1].asked.values()) == [2]


async def test_the_background_task_survives_a_failure_and_writes_at_its_end(
    store: FailingStore,
) -> None:
    tally = Tally(store, every=0.001, clock=Clock())
    tally.note_search(1, "量子", found=False)
    running = asyncio.create_task(tally.run())
    await asyncio.wait_for(store.has_failed.wait(), 20)
    store.broken = False
    await asyncio.wait_for(store.has_written.wait(), 20)
    tally.note_search(2, "年假", found=True)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [counts.keys() for counts in store.written] == [{1}, {2}]


async def test_what_is_counted_has_bounds(store: FailingStore) -> None:
    tally = Tally(store, clock=Clock())
    for number in range(3_000):
        tally.note_search(1, f"没有 {number}", found=False)
        tally.note_question(1, f"问 {number}")
    tally.note_question(1, "长" * 10_000)
    tally.note_question(1, "问 5")
    store.broken = False
    await tally.write()
    [counts] = store.written
    assert (counts[1].searches, counts[1].misses) == (3_000, 3_000)
    assert (len(counts[1].missed), len(counts[1].asked)) == (100, 1_000)
    assert list(counts[1].missed.values())[-1].query == "没有 2999"
    assert max(counts[1].asked.values()) == 2


async def test_edited_passages_count_as_they_are_now(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(
        ("a.txt", "年假每年十天。\n\n病假须附证明。".encode()), chunk_size="10", chunk_overlap="0"
    )
    path = "/admin/knowledge-bases/kb1/files"
    chunks = f"{path}/a.txt/chunks"

    async def sizes() -> list[tuple[int, int]]:
        [file] = (await kb.get(path)).json()["items"]
        whole = await numbers(kb)
        return [(one["chunks"], one["characters"]) for one in (file, whole)]

    [first, second] = (await kb.get(chunks)).json()["items"]
    length = len(first["content"] + second["content"])
    assert await sizes() == [(2, length)] * 2
    body = {"content": first["content"] + "可结转。"}
    await kb.http.patch(f"{chunks}/{first['id']}", json=body, headers=ADMIN)
    assert await sizes() == [(2, length + 4)] * 2
    await kb.post(chunks, {"content": "婚假三天。"})
    assert await sizes() == [(3, length + 9)] * 2
    await kb.http.patch(f"{chunks}/{second['id']}", json={"enabled": False}, headers=ADMIN)
    assert await sizes() == [(2, length + 9 - len(second["content"]))] * 2
