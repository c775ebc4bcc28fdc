"""Whose turn a source is: leases that run out, the fence before each write, clients in turn."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kb_service.entities import Owner
from kb_service.errors import LeaseLost, SourceThere
from kb_service.settings import KbSettings
from kb_service.source_entities import NewSource, Page, RunResult, Source, SourceOptions
from kb_service.store import PageStore, SourceStore
from kb_service.store.sources import LEASE_SECONDS
from servicekit.database import Database, sqlite_url
from tests.kb_service.jobs import Clock, stores_in

HOUR = 3_600


class Rows:
    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.sources = SourceStore(database, clock=self.clock)
        self.pages = PageStore(database)

    async def add(self, url: str, client: str = "7", hours: int | None = None) -> Source:
        options = SourceOptions(interval_hours=hours)
        return await self.sources.add(NewSource(1, "page", url, options, Owner(client, "u1")))

    async def claim(self) -> Source:
        source = await self.sources.claim()
        assert source
        return source

    async def urls(self) -> list[str]:
        """Of all that can be claimed now."""
        claimed = []
        while source := await self.sources.claim():
            claimed.append(source.url)
        return claimed


@pytest.fixture
async def rows(make_settings: Callable[..., KbSettings], tmp_path: Path) -> AsyncIterator[Rows]:
    make_settings()
    async with stores_in(tmp_path):
        database = Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")
        yield Rows(database)
        await database.close()


async def test_a_source_is_run_by_one_at_a_time(rows: Rows) -> None:
    added = await rows.add("http://a/")
    assert (added.state, added.next_run) == ("idle", rows.clock.now)
    first = await rows.claim()
    assert (first.id, first.state) == (added.id, "running")
    assert await rows.sources.claim() is None
    rows.clock.now += LEASE_SECONDS - 1
    assert await rows.sources.renew(first, RunResult())
    rows.clock.now += LEASE_SECONDS - 1
    assert await rows.sources.claim() is None
    rows.clock.now += 1
    assert (await rows.claim()).id == added.id


async def test_whose_lease_ran_out_writes_nothing(rows: Rows) -> None:
    await rows.add("http://a/")
    first = await rows.claim()
    rows.clock.now += LEASE_SECONDS
    second = await rows.claim()
    assert not await rows.sources.renew(first, RunResult())
    for write in (
        rows.pages.put(first, Page("http://a/")),
        rows.pages.forget(first, ["http://a/"]),
        rows.sources.finish(first, RunResult(), jitter=1),
    ):
        with pytest.raises(LeaseLost):
            await write
    await rows.sources.give_back(first)
    assert await rows.sources.claim() is None  # it was not its own to give
    await rows.pages.put(second, Page("http://a/", file_name="a.html"))
    assert [page.file_name for page in await rows.pages.all(second.id)] == ["a.html"]


async def test_the_next_run_is_an_interval_later(rows: Rows) -> None:
    await rows.add("http://a/", hours=2)
    source = await rows.claim()
    options = replace(source.options, interval_hours=4)
    await rows.sources.change(source.id, options, reschedule=True)  # while it runs
    await rows.sources.finish(source, RunResult(pages=1), jitter=0.5)
    assert await rows.urls() == []
    rows.clock.now += 2 * HOUR
    assert await rows.urls() == ["http://a/"]


async def test_one_without_an_interval_runs_when_it_is_called(rows: Rows) -> None:
    source = await rows.add("http://a/")
    await rows.sources.finish(await rows.claim(), RunResult(), jitter=1)
    rows.clock.now += 10_000 * HOUR
    assert await rows.urls() == []
    await rows.sources.call(source.id)
    assert await rows.urls() == ["http://a/"]


async def test_clients_take_turns(rows: Rows) -> None:
    for number in range(4):
        await rows.add(f"http://a/{number}", "7")
    await rows.add("http://b/", "8")
    assert await rows.urls() == ["http://a/0", "http://b/", "http://a/1"]


async def test_a_source_that_is_removed_is_lost_to_its_run(rows: Rows) -> None:
    kept, gone = await rows.add("http://a/"), await rows.add("http://b/")
    running = [await rows.claim(), await rows.claim()]
    for source in running:
        await rows.pages.put(source, Page(source.url, file_name=f"{source.id}.html", title="T"))
    await rows.sources.remove(kept.id)
    await rows.sources.start_removing(gone.id)
    for source in running:
        with pytest.raises(LeaseLost):
            await rows.pages.put(source, Page(source.url))
    assert await rows.pages.origin(1, f"{kept.id}.html") == {"page_title": "T"}
    removing = await rows.claim()
    assert (removing.id, removing.state) == (gone.id, "removing")


async def test_a_start_takes_back_what_was_being_run(rows: Rows) -> None:
    await rows.add("http://a/")
    await rows.claim()
    await rows.sources.recover()
    assert await rows.urls() == ["http://a/"]


async def test_a_url_is_once_in_a_knowledge_base(rows: Rows) -> None:
    await rows.add("http://a/")
    with pytest.raises(SourceThere):
        await rows.add("http://a/", "8")
