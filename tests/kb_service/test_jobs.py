"""Uploads that do not wait, and what their owner sees and does while they are worked on."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import (
    ADMIN,
    OWNER,
    READER,
    STRANGER,
    Kb,
    caller_header,
    connected,
    on_a_socket,
)
from tests.kb_service.gate import Gate, gated

Make = Callable[..., KbSettings]
LEAVE = "员工每年享有十天带薪年假，请在系统中提交申请。".encode()
LONG = "".join(f"第{n}条：员工每年享有带薪年假，按规定执行。\n" for n in range(500)).encode()
ACCEPTED = "正在处理中"


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with gated() as endpoint:
        yield endpoint


async def add(kb: Kb, *files: tuple[str, bytes], who: dict[str, str] = ADMIN, **fields: Any) -> Any:
    answer = await kb.http.post(
        "/admin/knowledge-bases/kb1/files",
        data=fields,
        files=[("files", file) for file in files],
        headers=who,
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


async def over(kb: Kb, job_id: int) -> dict[str, Any]:
    """The job when it is over, as its stream of events tells."""
    return (await events(kb, job_id))[-1]


async def events(kb: Kb, job_id: int) -> list[dict[str, Any]]:
    answer = await kb.get(f"/admin/jobs/{job_id}/events")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    found = []
    for block in answer.text.strip().split("\n\n"):
        name, kind, data = (line.partition(": ") for line in block.split("\n"))
        assert (name[0], kind[0], kind[2], data[0]) == ("id", "event", "job", "data")
        found.append(json.loads(data[2]))
    return found


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


def count(folder: Path, table: str) -> int:
    connection = sqlite3.connect(folder / "kb" / "kb.db")
    try:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(number)
    finally:
        connection.close()


async def test_an_upload_of_the_management_does_not_wait(make_settings: Make, gate: Gate) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await kb.create()
        gate.shut()
        done = await add(kb, ("a.txt", LEAVE), ("b.zip", b"PK"))
        assert list(done["refused"]) == ["b.zip"]
        (accepted,) = done["jobs"]
        assert accepted["file_name"] == "a.txt"
        assert accepted["state"] in {"queued", "running"}
        assert accepted["create_time"].endswith("Z")
        await gate.asked.wait()
        assert await kb.files() == []
        gate.open()
        last = await over(kb, accepted["id"])
        assert (last["state"], last["done"], last["total"], last["reason"]) == ("done", 1, 1, "")
        assert (last["owner_client"], last["owner_user"], last["attempts"]) == ("admin", "u1", 1)
        assert await kb.files() == ["a.txt"]
        assert len(await kb.search("年假")) == 1


async def test_the_old_wire_does_not_wait_for_ever(
    make_settings: Make, gate: Gate, tmp_path: Path
) -> None:
    async with connected(gate.settings(make_settings), patience=0) as kb:
        await kb.create()
        gate.shut()
        failed = await kb.uploaded(("a.txt", LEAVE), ("b.exe", b""))
        assert ACCEPTED in failed["a.txt"]
        assert "still being processed" in failed["a.txt"]
        assert "暂未支持" in failed["b.exe"]
        assert await kb.uploaded(("a.txt", LEAVE)) == {"a.txt": "文件 a.txt 已存在。"}
        gate.open()
        await over(kb, 1)
        assert await kb.uploaded(("a.txt", LEAVE)) == {"a.txt": "文件 a.txt 已存在。"}
        gate.shut()
        body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"]}
        updated = (await kb.post("/knowledge_base/update_docs", body)).json()
        assert updated["code"] == 200
        assert ACCEPTED in updated["data"]["failed_files"]["a.txt"]
        gate.open()
        await over(kb, 2)
    assert count(tmp_path, "chunk") == 1


async def test_progress_is_told_while_it_goes_on(make_settings: Make, gate: Gate) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await kb.create()
        docs = json.dumps({"a.txt": [{"page_content": f"年假{n}"} for n in range(120)]})
        await kb.uploaded(("a.txt", LEAVE), docs=docs)
        gate.shut()
        listening = asyncio.create_task(
            kb.post("/knowledge_base/recreate_vector_store", {"knowledge_base_name": "kb1"})
        )
        await gate.asked.wait()
        following = asyncio.create_task(events(kb, 2))
        gate.open()
        seen = await following
        assert seen[0]["state"] == "running"
        assert (seen[-1]["state"], seen[-1]["done"], seen[-1]["total"]) == ("done", 120, 120)
        assert [one["kind"] for one in seen] == ["recreate"] * len(seen)
        assert (await listening).text.count('"code": 200') == 1


async def test_a_stream_that_was_seen_to_its_end_is_not_sent_again(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    stream = await kb.get("/admin/jobs/1/events")
    seen = stream.text.partition("\n")[0].removeprefix("id: ")
    again = await kb.http.get("/admin/jobs/1/events", headers=ADMIN | {"Last-Event-ID": seen})
    assert (again.status_code, again.content) == (204, b"")


async def test_cancelling_what_runs_cleans_up_and_it_can_be_tried_again(
    make_settings: Make, gate: Gate, tmp_path: Path
) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await kb.create()
        await kb.uploaded(("old.txt", LEAVE))
        gate.shut()
        await add(kb, ("new.txt", LONG))
        await gate.asked.wait()
        answer = await kb.post("/admin/jobs/2/cancel", None)
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert "已取消" in answer.json()["reason"]
        await until(lambda: count(tmp_path, "index_version") == 1)  # its worker is told at once
        assert count(tmp_path, "chunk") == count(tmp_path, "knowledge_file") == 1
        assert (await kb.post("/admin/jobs/2/cancel", None)).status_code == 409
        gate.open()
        assert (await kb.post("/admin/jobs/2/retry", None)).json()["state"] in {"queued", "running"}
        assert (await over(kb, 2))["state"] == "done"
        assert await kb.files() == ["old.txt", "new.txt"]
        again = await kb.post("/admin/jobs/2/retry", None)
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert again.headers["content-type"] == "application/problem+json"
    assert len(list((tmp_path / "kb" / "content").glob("*/*"))) == 2


async def test_cancelling_what_waits_is_done_at_once(
    make_settings: Make, gate: Gate, tmp_path: Path
) -> None:
    async with connected(gate.settings(make_settings, kb_workers=1)) as kb:
        await kb.create()
        gate.shut()
        await add(kb, ("a.txt", LEAVE), ("b.txt", LEAVE))
        await gate.asked.wait()
        waiting = asyncio.create_task(kb.upload(("c.txt", LEAVE)))
        await until(lambda: count(tmp_path, "ingest_job") == 3)
        for job_id in (2, 3):
            assert (await kb.post(f"/admin/jobs/{job_id}/cancel", None)).json()["attempts"] == 0
        failed = (await waiting).json()["data"]["failed_files"]
        assert "已取消" in failed["c.txt"]
        gate.open()
        assert (await over(kb, 1))["state"] == "done"
        assert await kb.files() == ["a.txt"]


async def test_a_failure_has_a_reason(kb: Kb) -> None:
    await kb.create()
    (accepted,) = (await add(kb, ("a.pdf", b"%PDF-1.7 not really")))["jobs"]
    failed = await over(kb, accepted["id"])
    assert failed["state"] == "failed"
    assert failed["reason"].startswith("从文件 kb1/a.pdf 加载文档时出错：")
    assert await kb.files() == []
    assert (await kb.post(f"/admin/jobs/{accepted['id']}/retry", None)).status_code == 200
    assert (await over(kb, accepted["id"]))["state"] == "failed"


async def test_deleting_a_file_stops_what_is_done_for_it(
    make_settings: Make, gate: Gate, tmp_path: Path
) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await kb.create()
        gate.shut()
        waiting = asyncio.create_task(kb.uploaded(("a.txt", LEAVE)))
        await gate.asked.wait()
        body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"], "delete_content": True}
        deleted = (await kb.post("/knowledge_base/delete_docs", body)).json()
        assert deleted["data"] == {"failed_files": {}}
        assert "修改或删除" in (await waiting)["a.txt"]
        gate.open()
    for table in ("knowledge_file", "index_version", "chunk"):
        assert count(tmp_path, table) == 0, table
    assert not list((tmp_path / "kb" / "content").glob("*/*"))


async def test_a_rebuild_goes_on_when_nobody_listens(make_settings: Make, gate: Gate) -> None:
    path, body = "/knowledge_base/recreate_vector_store", {"knowledge_base_name": "kb1"}
    async with (
        on_a_socket(gate.settings(make_settings)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        kb = Kb(http)
        await kb.create()
        await kb.uploaded(("a.txt", LEAVE), ("b.txt", LONG))
        gate.shut()
        async with http.stream("POST", path, json=body, headers=ADMIN):
            await gate.asked.wait()
        gate.open()
        for job_id in (3, 4):
            assert (await over(kb, job_id))["state"] == "done"


async def test_a_stop_gives_back_what_is_worked_on(make_settings: Make, gate: Gate) -> None:
    settings = gate.settings(make_settings)
    async with connected(settings, patience=0) as kb:
        await kb.create()
        gate.shut()
        await kb.uploaded(("a.txt", LEAVE))
        await gate.asked.wait()
    gate.open()
    async with connected(settings) as kb:
        last = await over(kb, 1)
        assert (last["state"], last["attempts"]) == ("done", 1)
        assert await kb.files() == ["a.txt"]


async def test_jobs_are_seen_by_the_owner_client_and_operators_alone(kb: Kb) -> None:
    await kb.create("kb1", OWNER)
    await kb.upload(("a.txt", LEAVE), who=OWNER)
    confined = caller_header("7", ("kb:read", "kb:write"), confined_to=("other",))
    for who in (OWNER, ADMIN):
        assert (await kb.get("/admin/jobs/1", who)).status_code == 200
        assert (await kb.get("/admin/jobs", who)).json()["total"] == 1
    for who in (STRANGER, confined):
        missing = (await kb.get("/admin/jobs/99", who)).json()
        seen = await kb.get("/admin/jobs/1", who)
        assert (seen.status_code, seen.json()["detail"]) == (404, missing["detail"])
        assert (await kb.get("/admin/jobs/1/events", who)).status_code == 404
        assert (await kb.get("/admin/jobs", who)).json()["items"] == []
        assert (await kb.get("/admin/jobs", who, kb="kb1")).status_code == 404
        for act in ("cancel", "retry"):
            assert (await kb.post(f"/admin/jobs/1/{act}", None, who)).status_code == 404
        files = [("files", ("a.txt", LEAVE))]
        uploaded = await kb.http.post("/admin/knowledge-bases/kb1/files", files=files, headers=who)
        assert uploaded.status_code == 404
    for path in ("/admin/jobs", "/admin/jobs/1", "/admin/jobs/1/events"):
        assert (await kb.get(path, READER)).status_code == 403


async def test_jobs_are_listed_in_pages_and_by_state(kb: Kb) -> None:
    await kb.create("kb1")
    await kb.create("kb2")
    await kb.uploaded(*((f"{n}.txt", LEAVE) for n in range(3)), ("bad.pdf", LEAVE))
    await kb.uploaded(("x.txt", LEAVE), kb="kb2")
    page = (await kb.get("/admin/jobs", page=2, page_size=2)).json()
    assert (page["total"], page["page"], page["page_size"]) == (5, 2, 2)
    assert [one["id"] for one in page["items"]] == [3, 2]
    of_one = (await kb.get("/admin/jobs", kb="kb1", state="failed")).json()
    assert [one["file_name"] for one in of_one["items"]] == ["bad.pdf"]
    assert (await kb.get("/admin/jobs", kb="kb2")).json()["total"] == 1
    assert (await kb.get("/admin/jobs", state="lost")).status_code == 422
    assert (await kb.get("/admin/jobs", page=0)).status_code == 422
    for job_id in ("0", "x", str(2**63)):
        assert (await kb.get(f"/admin/jobs/{job_id}")).status_code == 422


async def test_bad_uploads_of_the_management_are_problems(make_settings: Make) -> None:
    path = "/admin/knowledge-bases/kb1/files"
    async with connected(make_settings(upload_max_mb=1)) as kb:
        await kb.create()
        too_large = b"a" * (21 << 20)
        answers = [
            (await kb.http.post(path, content=b"x", headers=ADMIN | {"content-type": kind}), status)
            for kind, status in (("multipart/form-data; boundary=B", 400), ("text/plain", 422))
        ]
        files = [("files", ("a.txt", too_large))]
        answers.append((await kb.http.post(path, files=files, headers=ADMIN), 413))
        files = [("files", ("a.txt", LEAVE))]
        wrong = {"chunk_size": "5", "chunk_overlap": "5"}
        answers.append((await kb.http.post(path, data=wrong, files=files, headers=ADMIN), 422))
        other = "/admin/knowledge-bases/none/files"
        answers.append((await kb.http.post(other, files=files, headers=ADMIN), 404))
        answers.append((await kb.http.post(path, files=files, headers=READER), 403))
        answers.append((await kb.http.post(path, files=files), 401))
        for answer, status in answers:
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
        assert (await kb.get("/admin/jobs")).json()["total"] == 0
