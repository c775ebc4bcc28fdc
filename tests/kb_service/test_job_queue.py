"""Whose turn it is, who holds a job, and what a worker that lost it can still write: nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kb_service.entities import ChunkOptions, Content, Job, KnowledgeBase, Labels, NewVersion, Owner
from kb_service.errors import LeaseLost, NotRetried, Superseded
from kb_service.settings import KbSettings
from kb_service.store.leases import ATTEMPTS_MAX, LEASE_SECONDS
from tests.kb_service.jobs import Stores, new_job, stores_in


@pytest.fixture
async def stores(make_settings: Callable[..., KbSettings], tmp_path: Path) -> AsyncIterator[Stores]:
    async with stores_in(tmp_path) as opened:
        yield opened


async def claimed(stores: Stores) -> Job:
    job = await stores.leases.claim()
    assert job
    return job


async def go_live(stores: Stores, job: Job, version: str) -> None:
    assert job.content
    new = NewVersion(
        id=version,
        kb_id=1,
        file_name=job.file_name,
        content=job.content,
        custom_docs=False,
        options=ChunkOptions(250, 50),
        loader="TextLoader",
        splitter="",
        chunks=1,
        term_counts=b"",
    )
    await stores.files.go_live(new, job.lease)


async def test_a_thousand_files_of_one_do_not_starve_one_file_of_another(stores: Stores) -> None:
    await stores.add(*(f"{n}.txt" for n in range(1_000)), client="many")
    first = await claimed(stores)
    await stores.add("a.txt", "b.txt", client="few")
    order = [first] + [await claimed(stores) for _ in range(6)]
    assert [(job.owner.client_id, job.file_name) for job in order] == [
        ("many", "0.txt"),
        ("few", "a.txt"),
        ("many", "1.txt"),
        ("few", "b.txt"),
        ("many", "2.txt"),
        ("many", "3.txt"),
        ("many", "4.txt"),
    ]


async def test_several_clients_take_turns(stores: Stores) -> None:
    for client in ("a", "b", "c"):
        await stores.add(*(f"{client}{n}.txt" for n in range(3)), client=client)
    order = [(await claimed(stores)).owner.client_id for _ in range(9)]
    assert order == ["a", "b", "c"] * 3
    assert await stores.leases.claim() is None


async def test_claims_at_the_same_time_are_of_different_jobs(stores: Stores) -> None:
    await stores.add(*(f"{n}.txt" for n in range(20)))
    jobs = await asyncio.gather(*(stores.leases.claim() for _ in range(25)))
    assert sorted(job.id for job in jobs if job) == list(range(1, 21))
    assert len({job.lease_token for job in jobs if job}) == 20


async def test_jobs_of_one_file_run_one_after_the_other(stores: Stores) -> None:
    first, second = await stores.add("a.txt", "a.txt")
    job = await claimed(stores)
    assert job.id == first
    assert await stores.leases.claim() is None
    await stores.jobs.finish(job.lease, 1, "")
    assert (await claimed(stores)).id == second


async def test_a_lease_runs_out_unless_it_is_renewed(stores: Stores) -> None:
    await stores.add("a.txt")
    job = await claimed(stores)
    stores.clock.now += LEASE_SECONDS - 1
    assert await stores.leases.recover() == 0
    assert await stores.leases.renew(job.lease, step="indexing", done=3, total=9)
    stores.clock.now += LEASE_SECONDS - 1
    assert await stores.leases.recover() == 0
    stores.clock.now += 2
    assert await stores.leases.recover() == 1
    assert await stores.state(job.id) == "queued"
    assert not await stores.leases.renew(job.lease, step="indexing", done=4, total=9)


async def test_of_two_workers_on_one_row_only_the_later_writes(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    slow = await claimed(stores)
    await stores.versions.begin("v1", 1, slow.lease, "lexical", Labels())
    stores.clock.now += LEASE_SECONDS + 1
    await stores.leases.recover()
    with pytest.raises(LeaseLost):  # already before somebody else has it
        await go_live(stores, slow, "v1")
    fast = await claimed(stores)
    assert (fast.id, fast.attempts, fast.version) == (slow.id, 2, "v1")
    assert fast.lease_token > slow.lease_token
    await stores.versions.begin("v2", 1, fast.lease, "lexical", Labels())
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: go_live(stores, slow, "v1"),
        lambda: stores.versions.begin("v3", 1, slow.lease, "lexical", Labels()),
        lambda: stores.jobs.finish(slow.lease, 1, ""),
        lambda: stores.jobs.fail(slow, "why"),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            await write()
    assert await stores.state(slow.id) == "running"
    await go_live(stores, fast, "v2")
    await stores.jobs.finish(fast.lease, 1, "")
    with pytest.raises(LeaseLost):
        await go_live(stores, slow, "v1")
    file = await stores.files.find(1, "a.txt")
    assert file
    assert (file.listed, file.live_version) == (True, "v2")


async def test_rows_of_a_version_that_was_cleaned_away_are_not_written(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    job = await claimed(stores)
    await stores.versions.begin("v1", 1, job.lease, "lexical", Labels())
    await stores.versions.forget("v1")
    with pytest.raises(LeaseLost):
        await stores.versions.add_chunks("v1", 0, [])


async def test_what_is_live_already_is_not_done_twice(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    job = await claimed(stores)
    await stores.versions.begin("v1", 1, job.lease, "lexical", Labels())
    await go_live(stores, job, "v1")
    await stores.leases.recover(all_of_them=True)
    assert await stores.state(job.id) == "done"
    assert await stores.leases.claim() is None


async def test_a_job_that_ends_every_worker_is_given_up(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    for _ in range(ATTEMPTS_MAX):
        await claimed(stores)
        await stores.leases.recover(all_of_them=True)
    assert await stores.leases.claim() is None
    job = await stores.jobs.find(1)
    assert job
    assert (job.state, job.step) == ("failed", "")
    assert "已放弃" in job.reason
    assert "interrupted" in job.reason
    assert await stores.files.find(1, "a.txt") is None
    await stores.jobs.retry(job)
    assert await stores.files.find(1, "a.txt")


async def test_being_told_to_stop_is_no_attempt(stores: Stores) -> None:
    await stores.add("a.txt")
    for _ in range(2 * ATTEMPTS_MAX):
        await stores.leases.give_back((await claimed(stores)).lease)
    assert (await claimed(stores)).attempts == 1


async def test_all_are_accepted_or_none(stores: Stores) -> None:
    await stores.bases.remove(await _base(stores))
    with pytest.raises(Superseded):
        await stores.add("a.txt", "b.txt", content="c1")
    assert await stores.jobs.find_all(range(10)) == []


async def test_what_is_cancelled_is_not_written_and_leaves_no_row(stores: Stores) -> None:
    await stores.add("a.txt", "b.txt", content="c1")
    running = await claimed(stores)
    queued = await stores.jobs.find(2)
    assert queued
    for job in (running, queued):
        assert await stores.jobs.cancel(job)
        assert not await stores.jobs.cancel(job)
        assert await stores.files.find(1, job.file_name) is None
    assert await stores.leases.claim() is None
    with pytest.raises(LeaseLost):
        await go_live(stores, running, "v1")


async def test_what_is_live_can_neither_be_cancelled_nor_fail_any_more(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    job = await claimed(stores)
    await stores.versions.begin("v1", 1, job.lease, "lexical", Labels())
    await go_live(stores, job, "v1")
    assert not await stores.jobs.cancel(job)
    with pytest.raises(LeaseLost):  # the content is the file's by now, and no more the job's
        await stores.jobs.fail(job, "why")
    await stores.jobs.finish(job.lease, 1, "")
    assert await stores.state(job.id) == "done"


async def test_a_failed_upload_can_be_tried_again_until_newer_content_is_there(
    stores: Stores,
) -> None:
    await stores.add("a.txt", content="old")
    await stores.jobs.fail(await claimed(stores), "broken")
    failed = await stores.jobs.find(1)
    assert failed
    assert "old" in await stores.files.content_ids()
    await stores.jobs.retry(failed)
    await stores.jobs.fail(await claimed(stores), "broken")
    await stores.add("a.txt", content="new")
    with pytest.raises(NotRetried):  # it would run after the newer one, and undo it
        await stores.jobs.retry(failed)
    newer = await claimed(stores)
    await stores.versions.begin("v2", 1, newer.lease, "lexical", Labels())
    await go_live(stores, newer, "v2")
    await stores.jobs.finish(newer.lease, 1, "")
    with pytest.raises(NotRetried):
        await stores.jobs.retry(failed)
    assert await stores.files.content_ids() == {"new"}


async def test_jobs_of_a_file_that_is_replaced_or_taken_out_stop(stores: Stores) -> None:
    await stores.add("a.txt", content="c1")
    job = await claimed(stores)
    put = Content("c2", 5, 1.0)
    replaced = await stores.files.put(
        1, "a.txt", put, Owner("7", "u1"), expected_content="", why="newer"
    )
    assert replaced.content_ids == {"c1"}
    stopped = await stores.jobs.find(job.id)
    assert stopped
    assert (stopped.state, stopped.reason) == ("cancelled", "newer")
    await stores.jobs.add([new_job("a.txt", content="c3")])
    taken = await stores.files.take_out(1, "a.txt", keep_content=False, why="gone")
    assert taken.found
    assert taken.replaced.content_ids == {"c2", "c3"}
    assert await stores.leases.claim() is None
    assert await stores.files.content_ids() <= {""}


async def _base(stores: Stores) -> KnowledgeBase:
    found = await stores.bases.find("kb1")
    assert found
    return found


async def test_jobs_are_kept_as_long_as_somebody_may_ask(stores: Stores) -> None:
    """What failed can be tried again for longer, with the content that it had."""
    await stores.add("done.txt", content="c1")
    done = await claimed(stores)
    await stores.jobs.finish(done.lease, 1, "")
    await stores.add("failed.txt", content="c2")
    failed = await claimed(stores)
    await stores.jobs.fail(failed, "why")
    (queued,) = await stores.add("queued.txt", content="c3")
    kept, then = [done.id, failed.id, queued], datetime.now(UTC)
    for days, gone, contents in ((6, 0, []), (8, 1, []), (29, 1, []), (31, 2, [(1, "c2")])):
        assert await stores.jobs.purge(then + timedelta(days=days)) == contents
        assert [job_id for job_id in kept if await stores.jobs.find(job_id)] == kept[gone:]
    assert await stores.files.content_ids() >= {"c3"}
