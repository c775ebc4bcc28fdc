"""Knowledge bases and their files on the management surface."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, OWNER, READER, STRANGER, Kb, caller_header, connected
from tests.kb_service.gate import Gate, gated

Make = Callable[..., KbSettings]
PATH = "/admin/knowledge-bases"
TEXT = ("a.txt", "员工每年享有十天带薪年假，请在系统中提交申请。".encode())
TRAVEL = ("出差.txt", "出差住宿标准为每晚五百元。".encode())
BROKEN = ("broken.pdf", b"%PDF-1.4\nand then nothing that is one")


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with gated() as endpoint:
        yield endpoint


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def make(kb: Kb, name: str, who: dict[str, str] = OWNER, **more: Any) -> httpx.Response:
    return await kb.post(PATH, {"name": name} | more, who)


async def files(kb: Kb, who: dict[str, str] = ADMIN, /, **params: Any) -> list[dict[str, Any]]:
    answer = await kb.get(f"{PATH}/kb1/files", who, **params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def the_file(kb: Kb, name: str) -> dict[str, Any]:
    [item] = await files(kb, name=name)
    return item


async def test_made_shown_changed_and_deleted(kb: Kb) -> None:
    answer = await make(kb, "制度 1", zh_name="制度库", info="说明")
    assert answer.status_code == 201
    made = answer.json()
    assert (
        made.items()
        >= {
            "name": "制度 1",
            "zh_name": "制度库",
            "info": "说明",
            "embed_model": "lexical",
            "owner_client": "7",
            "visibility": "all",
        }.items()
    )
    assert made["create_time"].endswith("Z")
    assert (await kb.get(f"{PATH}/制度 1", OWNER)).json() == made
    assert (await kb.get(PATH, OWNER)).json()["items"] == [made]

    async def change(**body: Any) -> Any:
        changed = await kb.http.patch(f"{PATH}/制度 1", json=body, headers=OWNER)
        assert changed.status_code == 200, changed.text
        return changed.json()

    assert await change() == made
    assert await change(info="新") == made | {"info": "新"}
    assert await change(zh_name="新名", info="") == made | {"zh_name": "新名", "info": ""}
    [old_wire] = (await kb.get("/knowledge_base/list_knowledge_bases_v2", READER)).json()["data"]
    assert (old_wire["kb_zh_name"], old_wire["kb_info"]) == ("新名", "")
    answer = await kb.http.delete(f"{PATH}/制度 1", headers=OWNER)
    assert (answer.status_code, answer.content) == (204, b"")
    is_problem(await kb.get(f"{PATH}/制度 1", OWNER), 404, "not_found")
    is_problem(await kb.http.delete(f"{PATH}/制度 1", headers=OWNER), 404, "not_found")


async def test_the_chinese_name_is_the_name_unless_said(kb: Kb) -> None:
    assert (await make(kb, "kb1")).json()["zh_name"] == "kb1"


async def test_statuses_tell_the_truth(kb: Kb) -> None:
    """Where the old wire says 404 with code 200, as its users know it."""
    await make(kb, "kb1")
    is_problem(await make(kb, "kb1", STRANGER), 409, "conflict")
    for name in ("", "  "):
        is_problem(await make(kb, name), 422, "invalid")
    for name in ("../x", "a/b", "con", "x\0y"):
        is_problem(await make(kb, name), 403, "refused")
    confined = caller_header("7", ("kb:read", "kb:write"), confined_to=("other",))
    is_problem(await make(kb, "kb2", confined), 403, "refused")
    is_problem(await make(kb, "kb2", READER), 403, "forbidden")
    is_problem(await make(kb, "kb2", zh_name="长" * 256), 422, "invalid")
    is_problem(await make(kb, "kb2", info="长" * 2_001), 422, "invalid")
    for who, status, code in ((STRANGER, 404, "not_found"), (READER, 403, "forbidden")):
        is_problem(await kb.http.delete(f"{PATH}/kb1", headers=who), status, code)
        is_problem(
            await kb.http.patch(f"{PATH}/kb1", json={"info": "x"}, headers=who), status, code
        )


async def test_a_file_with_everything_known_of_it(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    [file] = await files(kb)
    assert file.pop("upload_time").endswith("Z")
    assert file.pop("job_id") > 0
    assert file == {
        "name": "a.txt",
        "state": "done",
        "reason": "",
        "size": len(TEXT[1]),
        "chunks": 1,
        "characters": len(TEXT[1].decode()),
        "loader": "TextLoader",
        "splitter": "ChineseRecursiveTextSplitter",
        "custom_docs": False,
        "owner_client": "admin",
        "owner_user": "u1",
        "tags": [],
    }


async def test_whose_content_it_is(kb: Kb) -> None:
    """Who indexes it again is not who uploaded it, and a new content is the new one's."""
    await kb.create(who=OWNER)
    await kb.upload(TEXT, who=OWNER)
    first = await the_file(kb, "a.txt")
    body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"]}
    await kb.post("/knowledge_base/update_docs", body)
    again = await the_file(kb, "a.txt")
    assert again["job_id"] > first["job_id"]
    assert (again["owner_client"], again["upload_time"]) == ("7", first["upload_time"])
    await kb.uploaded(TEXT, override="true")
    newer = await the_file(kb, "a.txt")
    assert newer["owner_client"] == "admin"
    assert newer["upload_time"] > first["upload_time"]


async def test_the_list_has_pages_and_filters(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(*((f"f{number}.txt", TEXT[1]) for number in range(4)), TRAVEL)
    await kb.uploaded(BROKEN)
    page = (await kb.get(f"{PATH}/kb1/files", page=2, page_size=4)).json()
    assert (page["total"], page["page"], page["page_size"]) == (6, 2, 4)
    assert [item["name"] for item in page["items"]] == ["f3.txt", "出差.txt"]
    assert [item["name"] for item in await files(kb, name="F1")] == ["f1.txt"]
    assert await files(kb, name="%") == []
    assert [item["name"] for item in await files(kb, state="failed")] == ["broken.pdf"]
    assert len(await files(kb, state="done")) == 5
    assert await files(kb, state="queued") == []
    for wrong in ({"state": "lost"}, {"page": 0}, {"page_size": 201}, {"name": "x" * 256}):
        is_problem(await kb.get(f"{PATH}/kb1/files", **wrong), 422, "invalid")
    is_problem(await kb.get(f"{PATH}/none/files"), 404, "not_found")
    is_problem(await kb.get(f"{PATH}/kb1/files", STRANGER), 404, "not_found")


async def test_a_file_on_its_way(make_settings: Make, gate: Gate) -> None:
    async with connected(gate.settings(make_settings), patience=0) as kb:
        await kb.create()
        gate.shut()
        upload = [("files", TEXT), ("files", TRAVEL)]
        answer = await kb.http.post(f"{PATH}/kb1/files", headers=ADMIN, files=upload)
        jobs = [job["id"] for job in answer.json()["jobs"]]
        waiting = await files(kb)
        assert [item["job_id"] for item in waiting] == jobs
        assert {item["state"] for item in waiting} <= {"queued", "running"}
        assert [item["size"] for item in waiting] == [len(TEXT[1]), len(TRAVEL[1])]
        assert {(item["chunks"], item["owner_client"]) for item in waiting} == {(0, "admin")}
        assert waiting[0]["upload_time"]
        gate.open()
        for job in jobs:
            await kb.get(f"/admin/jobs/{job}/events")
        assert [item["state"] for item in await files(kb)] == ["done", "done"]


async def test_a_failed_upload_is_there_until_it_is_dealt_with(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(BROKEN)
    failed = await the_file(kb, "broken.pdf")
    assert (failed["state"], failed["chunks"], failed["size"]) == ("failed", 0, len(BROKEN[1]))
    assert failed["reason"]
    assert (await kb.get(f"/admin/jobs/{failed['job_id']}")).json()["reason"] == failed["reason"]
    assert await kb.files() == []
    await kb.uploaded(("broken.pdf", b"%PDF-1.4\n another one that is none"))
    [again] = await files(kb)
    assert (again["state"], again["job_id"] > failed["job_id"]) == ("failed", True)
    body = {"knowledge_base_name": "kb1", "file_names": ["broken.pdf"], "delete_content": True}
    await kb.post("/knowledge_base/delete_docs", body)
    assert await files(kb) == []


async def test_a_failed_replacement_keeps_what_answers(kb: Kb, tmp_path: Path) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    good = await the_file(kb, "a.txt")
    failed = await kb.uploaded(("a.txt", b"\x00\x01\x02" * 500), override="true")
    assert failed
    bad = await the_file(kb, "a.txt")
    assert (bad["state"], bad["chunks"], bad["characters"]) == (
        *("failed", good["chunks"]),
        good["characters"],
    )
    assert bad["reason"] == failed["a.txt"]
    assert (bad["size"], bad["upload_time"]) == (good["size"], good["upload_time"])
    await kb.uploaded(TEXT, override="true")
    assert (await the_file(kb, "a.txt"))["state"] == "done"
    with closing(sqlite3.connect(tmp_path / "kb" / "kb.db")) as database, database:
        database.execute("DELETE FROM ingest_job")  # as after some days
    assert (await the_file(kb, "a.txt")).items() >= {
        "state": "done",
        "job_id": None,
        "reason": "",
        "owner_client": "admin",
    }.items()


async def test_stored_without_vectors(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT, to_vector_store="false")
    stored = await the_file(kb, "a.txt")
    assert (stored["state"], stored["chunks"], stored["owner_client"]) == ("stored", 0, "admin")
    assert stored["upload_time"]
    body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"]}
    await kb.post("/knowledge_base/update_docs", body)
    assert (await the_file(kb, "a.txt"))["state"] == "done"
    await kb.post(
        "/knowledge_base/delete_docs", body
    )  # the content stays, the file is off the list
    assert await files(kb) == []


async def test_changes_at_the_same_time_do_not_undo_each_other(kb: Kb) -> None:
    await make(kb, "kb1")
    path = f"{PATH}/kb1"
    await asyncio.gather(
        kb.http.patch(path, json={"zh_name": "名"}, headers=OWNER),
        kb.http.patch(path, json={"info": "说明"}, headers=OWNER),
    )
    said = (await kb.get(path, OWNER)).json()
    assert (said["zh_name"], said["info"]) == ("名", "说明")
