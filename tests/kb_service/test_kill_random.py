"""A kill -9 at ten random points of replacing and deleting: no vector is orphaned or doubled."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import Kb, connected
from tests.kb_service.test_durability import points, process
from tests.kb_service.test_kill import asked

pytestmark = pytest.mark.e2e

KILLS = 10
CHUNKS = 120
REPLACED, DELETED = 0.6, 0.08  # about how many seconds each takes


def text(file: int, wording: str) -> bytes:
    lines = (f"{wording}规定{file}号第{n}条：{'员工须按时提交材料。' * 12}" for n in range(CHUNKS))
    return "\n\n".join(lines).encode()


async def work(kb: Kb, file: int) -> None:
    """Every other file is replaced, the others are deleted; the answer may never come."""
    name = f"{file}.txt"
    with suppress(httpx.TransportError):
        if file % 2:
            await kb.upload((name, text(file, "新")), override="true")
        else:
            body = {"knowledge_base_name": "kb1", "file_names": [name], "delete_content": True}
            await kb.post("/knowledge_base/delete_docs", body)


async def wordings(kb: Kb, file: int) -> set[str]:
    found = await kb.search(f"规定{file}号", top_k=3 * CHUNKS, score_threshold=2)
    texts = [one["page_content"] for one in found]
    assert len(texts) == len(set(texts))
    return {one[0] for one in texts if f"规定{file}号" in one}


async def test_ten_kills_leave_no_orphan_and_nothing_twice(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> None:
    make_settings()
    chance = random.Random(5)
    for file in range(KILLS):
        async with process(tmp_path, KB_WORKERS="1") as (kb, pid):
            if file == 0:
                await kb.create()
                assert not await kb.uploaded(*((f"{n}.txt", text(n, "旧")) for n in range(KILLS)))
            working = asyncio.create_task(work(kb, file))
            await asyncio.sleep(chance.uniform(0, REPLACED if file % 2 else DELETED))
            os.kill(pid, signal.SIGKILL)
            await working
    async with connected(make_settings()) as kb:
        await _until_idle(tmp_path / "kb")
        files = await kb.files()
        for file in range(KILLS):
            seen = await wordings(kb, file)
            assert seen in (({"旧"}, {"新"}) if file % 2 else ({"旧"}, set())), file
            assert bool(seen) == (f"{file}.txt" in files)
    folder = tmp_path / "kb"
    (chunks,) = asked(folder, "SELECT sum(docs_count) FROM knowledge_file")[0]
    assert asked(folder, "SELECT count(*) FROM chunk") == [(chunks,)]
    assert asked(folder, "SELECT count(*) FROM index_version") == [(len(files),)]
    assert await points(tmp_path, 1) == chunks


async def _until_idle(folder: Path) -> None:
    query = "SELECT count(*) FROM ingest_job WHERE state IN ('queued', 'running')"
    for _ in range(3_000):
        if asked(folder, query) == [(0,)] and not asked(
            folder, "SELECT id FROM index_version WHERE state <> 'live'"
        ):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asked(folder, "SELECT id, state, step, reason FROM ingest_job"))
