"""A power cut takes the last moments of the embedded engine: the next start makes them good."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, Kb, connected

SPLIT = {"chunk_size": "20", "chunk_overlap": "0"}
EARLY = "员工每年享有十天带薪年假。"
LATE = "出差须提前三天申请。费用凭发票报销。住宿每晚不超过四百元。"


async def found(kb: Kb, query: str) -> list[str]:
    return [one["page_content"] for one in await kb.search(query, top_k=10)]


async def jobs(kb: Kb) -> list[str]:
    items = (await kb.http.get("/admin/jobs", headers=ADMIN)).json()["items"]
    return [job["kind"] for job in items]


async def test_files_whose_points_never_reached_the_disk_are_indexed_again(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> None:
    store, then = tmp_path / "kb" / "qdrant", tmp_path / "then"
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("early.txt", EARLY.encode()))
    shutil.copytree(store, then)
    async with connected(make_settings()) as kb:
        await kb.uploaded(("late.txt", LATE.encode()), **SPLIT)
        whole = await found(kb, "出差费用住宿")
        assert len(whole) > 1
        before = await jobs(kb)
    shutil.rmtree(store)
    shutil.move(then, store)
    async with connected(make_settings()) as kb, asyncio.timeout(60):
        assert await found(kb, "带薪年假") == [EARLY]
        while True:
            if await found(kb, "出差费用住宿") == whole:
                break
            await asyncio.sleep(0.01)
        assert await jobs(kb) == ["recreate", *before]
    async with connected(make_settings()) as kb:
        assert await found(kb, "出差费用住宿") == whole


async def test_what_is_whole_is_left_alone(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("late.txt", LATE.encode()), **SPLIT)
        files = "/admin/knowledge-bases/kb1/files/late.txt/chunks"
        chunk = (await kb.http.get(files, headers=ADMIN)).json()["items"][0]
        changed = {"content": "差旅由部门经理批准。"}
        answer = await kb.http.patch(f"{files}/{chunk['id']}", json=changed, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        before = await jobs(kb)
    async with connected(make_settings()) as kb:
        assert len(await found(kb, "差旅批准")) == 1
        assert await jobs(kb) == before
