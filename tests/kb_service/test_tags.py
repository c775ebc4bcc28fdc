"""Tags of files, and searches that are narrowed by tag, file, time of upload and page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kb_service.settings import KbSettings
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import OWNER, READER, STRANGER, Kb, connected
from tests.kb_service.documents import pdf_file, zip_file
from tests.kb_service.gate import gated
from tests.kb_service.test_jobs import add, over

Make = Callable[..., KbSettings]
FILES = "/admin/knowledge-bases/kb1/files"
HR, IT = "人事/leave.txt", "it.txt"


async def filled(kb: Kb) -> Kb:
    await kb.create(who=OWNER)
    assert await kb.uploaded((HR, "年假每年十天有效。".encode())) == {}
    assert await kb.uploaded((IT, "年假系统的网址在内网。".encode())) == {}
    return kb


@pytest.fixture
async def owned(kb: Kb) -> Kb:
    return await filled(kb)


async def tag(kb: Kb, name: str, *tags: str, who: dict[str, str] = OWNER) -> Any:
    path = f"{FILES}/{quote(name)}/tags"
    return await kb.http.put(path, json={"tags": tags}, headers=who)


async def found(kb: Kb, **wanted: Any) -> set[str]:
    passages = await kb.search("年假", filter=wanted, top_k=10, score_threshold=2)
    return {passage["metadata"]["source"] for passage in passages}


async def listed(kb: Kb, **query: str) -> dict[str, list[str]]:
    answer = (await kb.get(FILES, OWNER, **query)).json()
    assert answer["total"] == len(answer["items"])
    return {file["name"]: file["tags"] for file in answer["items"]}


async def test_tags_narrow_lists_and_searches_at_once(owned: Kb) -> None:
    answer = await tag(owned, HR, " 制度 ", "HR  2026", "制度")
    assert answer.json() == {"name": HR, "tags": ["HR 2026", "制度"]}
    await tag(owned, IT, "制度")
    assert (
        await found(owned, tags=["HR 2026"]) == await found(owned, tags=["x", "HR  2026"]) == {HR}
    )
    assert await found(owned, tags=["制度"]) == {HR, IT}
    assert await found(owned, tags=["none"]) == set()
    assert await listed(owned) == {HR: ["HR 2026", "制度"], IT: ["制度"]}
    assert await listed(owned, tag="HR 2026") == {HR: ["HR 2026", "制度"]}
    tags = (await owned.get("/admin/knowledge-bases/kb1/tags", OWNER, page_size=1)).json()
    assert tags == {
        "items": [{"name": "HR 2026", "files": 1}],
        **{"total": 2, "page": 1, "page_size": 1},
    }
    await tag(owned, HR)
    assert await found(owned, tags=["制度"]) == {IT}
    assert (await listed(owned))[HR] == []


@pytest.mark.parametrize(
    "tags", [[""], ["  "], ["a\u0000b"], ["长" * 51], [str(n) for n in range(21)]]
)
async def test_tags_have_bounds(owned: Kb, tags: list[str]) -> None:
    assert (await tag(owned, HR, *tags)).status_code == 422


@pytest.mark.parametrize("who", [READER, STRANGER])
async def test_tags_are_the_owners(owned: Kb, who: dict[str, str]) -> None:
    refused = await tag(owned, HR, "mine", who=who)
    assert refused.status_code == (403 if who is READER else 404)
    assert (await tag(owned, "no.txt", "a")).status_code == 404


async def test_tags_stay_over_edits_new_content_and_rebuilding(owned: Kb) -> None:
    await tag(owned, HR, "制度")
    chunks = f"{FILES}/{quote(HR)}/chunks"
    (chunk,) = (await owned.get(chunks, OWNER)).json()["items"]
    edited = {"content": "年假改为十二天。"}
    await owned.http.patch(f"{chunks}/{chunk['id']}", json=edited, headers=OWNER)
    assert await found(owned, tags=["制度"]) == {HR}
    await tag(owned, HR, "新制度")
    assert await found(owned, tags=["新制度"]) == {HR}, "an edited chunk has them too"
    assert await found(owned, tags=["制度"]) == set()
    again = (HR, "年假每年十五天，请提前申请。".encode())
    assert await owned.uploaded(again, override="true") == {}
    rebuilt = await owned.post(
        "/knowledge_base/recreate_vector_store", {"knowledge_base_name": "kb1"}
    )
    assert '"finished": 2' in rebuilt.text
    assert await found(owned, tags=["新制度"]) == {HR}


async def test_tags_that_come_while_a_file_is_indexed_are_not_lost(make_settings: Make) -> None:
    async with gated() as gate:
        gate.shut()
        async with connected(gate.settings(make_settings)) as kb:
            await kb.create(who=OWNER)
            accepted = await add(kb, ("a.txt", "年假每年十天。".encode()), who=OWNER)
            await gate.asked.wait()
            assert (await tag(kb, "a.txt", "制度")).status_code == 200
            gate.open()
            await over(kb, accepted["jobs"][0]["id"])
            assert await found(kb, tags=["制度"]) == {"a.txt"}


async def send(kb: Kb, *files: tuple[str, bytes], **fields: Any) -> None:
    for job in (await add(kb, *files, who=OWNER, override="true", **fields))["jobs"]:
        assert (await over(kb, job["id"]))["state"] == "done"


async def test_files_come_with_tags(kb: Kb) -> None:
    await kb.create(who=OWNER)
    inside = {"in/b.txt": "年假可以结转。".encode()}
    await send(
        kb,
        ("a.txt", "年假每年十天。".encode()),
        ("all.zip", zip_file(inside)),
        tags=" 制度,HR  2026，制度",
    )
    both = {"a.txt": ["HR 2026", "制度"], "in/b.txt": ["HR 2026", "制度"]}
    assert await listed(kb) == both
    assert await found(kb, tags=["HR 2026"]) == set(both)
    for field in ({}, {"tags": ""}):
        await send(kb, ("a.txt", "年假有变化。".encode()), **field)
        assert await listed(kb) == both, "it keeps those that it has"
    await send(kb, ("a.txt", "年假又有变化。".encode()), tags=["new", "newer"])
    assert await listed(kb) == both | {"a.txt": ["new", "newer"]}
    assert await found(kb, tags=["newer"]) == {"a.txt"}
    assert await found(kb, tags=["制度"]) == {"in/b.txt"}


async def test_tags_that_cannot_be_are_refused_before_anything_is_kept(
    kb: Kb, tmp_path: Path
) -> None:
    await kb.create(who=OWNER)
    for tags in ("a,,b", "  ", "a\u0000b", "长" * 51, ",".join(map(str, range(21)))):
        parts = [("files", ("a.txt", b"leave"))]
        answer = await kb.http.post(FILES, data={"tags": tags}, files=parts, headers=OWNER)
        as_put = await tag(kb, "a.txt", *tags.split(","))
        for known in ("code", "detail"):
            assert answer.json()[known] == as_put.json()[known]
        assert answer.status_code == 422, tags
    no_text = [("files", ("a.txt", b"leave")), ("tags", ("tags.txt", b"HR"))]
    assert (await kb.http.post(FILES, files=no_text, headers=OWNER)).status_code == 422
    assert not list((tmp_path / "kb" / "content").glob("*/*"))


async def test_tags_of_an_upload_outlive_a_stop_and_another_try(make_settings: Make) -> None:
    async with gated() as gate:
        settings = gate.settings(make_settings)
        async with connected(settings) as kb:
            await kb.create(who=OWNER)
            await send(kb, ("old.txt", "年假每年五天。".encode()), tags="old")
            gate.shut()
            files = [(name, "年假每年十天。".encode()) for name in ("old.txt", "new.txt")]
            jobs = (await add(kb, *files, who=OWNER, override="true", tags="制度"))["jobs"]
            await gate.asked.wait()
            assert await found(kb, tags=["制度"]) == {"old.txt"}, "what answers until then, too"
        async with connected(settings) as kb:
            for job in jobs:
                await kb.post(f"/admin/jobs/{job['id']}/cancel", None)
            assert await tag(kb, "old.txt", "later")
            gate.open()
            for job in jobs:
                await kb.post(f"/admin/jobs/{job['id']}/retry", None)
                assert (await over(kb, job["id"]))["state"] == "done"
            assert await listed(kb) == {"old.txt": ["later"], "new.txt": ["制度"]}
            assert await found(kb, tags=["制度"]) == {"new.txt"}


async def test_a_crash_between_row_and_index_is_made_good(make_settings: Make) -> None:
    settings = make_settings()
    async with connected(settings) as kb:
        await filled(kb)
        await tag(kb, HR, "old")
    database = Database(sqlite_url(settings.folder / "kb.db"), package="kb_service")
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE file_tag SET tag = 'new'")
    await database.close()
    async with connected(make_settings()) as kb:
        assert await found(kb, tags=["new"]) == {HR}
        assert await found(kb, tags=["old"]) == set()


async def test_searches_are_narrowed_by_file_time_and_page(owned: Kb) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    pages = pdf_file(["Annual leave: ten days."], ["Annual leave: how to apply."])
    assert await owned.uploaded(("m.pdf", pages)) == {}
    assert await found(owned, files=[HR, "no.txt"]) == {HR}
    assert await found(owned, files=["no.txt"]) == set()
    assert await found(owned, uploaded_after=(now - hour).isoformat()) == {HR, IT}
    assert await found(owned, uploaded_before=(now - hour).isoformat()) == set()
    assert await found(owned, page_from=1) == set(), "a text has no pages"
    (second,) = await owned.search("annual leave", filter={"page_from": 2, "page_to": 2})
    assert second["metadata"]["page"] == 2
    asked = {"query": "annual leave", "knowledge_base_name": "kb1", "filter": {"files": ["m.pdf"]}}
    inside = (await owned.post("/internal/search", asked)).json()["passages"]
    assert {passage["file_name"] for passage in inside} == {"m.pdf"}
    wrong = await owned.post("/internal/search", asked | {"filter": {"file": "m.pdf"}})
    assert wrong.status_code == 422, "a misspelt filter would narrow nothing"
