"""Chunks that users edit, switch off and add: found at once, never twice, kept over re-ingest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kb_service.chunk_entities import EditPlan
from kb_service.entities import Content, Labels, NewVersion
from kb_service.errors import EditsChanged
from kb_service.settings import KbSettings
from kb_service.store import FileStore, JobStore, LeaseStore, VersionStore
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import OWNER, READER, STRANGER, Kb, connected
from tests.kb_service.gate import Gate, gated
from tests.kb_service.jobs import new_job
from tests.kb_service.test_durability import points
from tests.kb_service.test_jobs import add, count, over

Make = Callable[..., KbSettings]
BASE = "/admin/knowledge-bases/kb1/files/a.txt/chunks"
LINES = ("请假须提前三天申请。", "年假每年十天有效。", "病假须附医院证明。", "婚假一律为三天。")
TEXT = "\n".join(LINES)
CUT = {"splitter": "fixed", "chunk_size": "10", "chunk_overlap": "0"}
WINDOWS = {"splitter": "sentence_window", "window": "1"}


async def filled(kb: Kb, text: str = TEXT, **split: str) -> Kb:
    await kb.create(who=OWNER)
    await put(kb, text, **(split or CUT))
    return kb


async def put(kb: Kb, text: str, **fields: str) -> dict[str, Any]:
    answer = await add(kb, ("a.txt", text.encode()), who=OWNER, override="true", **fields)
    return await over(kb, answer["jobs"][0]["id"])


@pytest.fixture
async def owned(kb: Kb) -> Kb:
    return await filled(kb)


async def listed(kb: Kb, **query: Any) -> list[dict[str, Any]]:
    answer = await kb.get(BASE, OWNER, **query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def chunk(kb: Kb, text: str) -> dict[str, Any]:
    (found,) = await listed(kb, text=text)
    return found


async def change(kb: Kb, chunk_id: str, **body: Any) -> dict[str, Any]:
    answer = await kb.http.patch(f"{BASE}/{chunk_id}", json=body, headers=OWNER)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def edit(kb: Kb, text: str, content: str) -> dict[str, Any]:
    return await change(kb, (await chunk(kb, text))["id"], content=content)


async def texts(kb: Kb, query: str) -> list[str]:
    """What is found that has a word of the query in it, not only one of its characters."""
    found = await kb.search(query, top_k=20, score_threshold=2)
    answers = [one["page_content"] for one in found]
    return [text for text in answers if any(word in text for word in query.split())]


async def test_chunks_are_listed_in_order(owned: Kb) -> None:
    answer = (await owned.get(BASE, OWNER, page_size=3)).json()
    assert [item["content"] for item in answer["items"]] == list(LINES[:3])
    assert (answer["total"], answer["page"], answer["chunking"]["splitter"]) == (4, 1, "fixed")
    assert [item["state"] for item in answer["items"]] == ["enabled"] * 3
    assert [item["content"] for item in await listed(owned, page_size=3, page=2)] == [LINES[3]]
    assert [item["content"] for item in await listed(owned, text="医院")] == [LINES[2]]
    assert await listed(owned, text="%") == []
    assert await listed(owned, state="edited") == []


async def test_an_edited_chunk_is_found_at_once_and_the_old_one_no_more(owned: Kb) -> None:
    changed = await edit(owned, "年假", "年假每年二十天。")
    assert (changed["state"], changed["original"]) == ("edited", LINES[1])
    assert await texts(owned, "年假") == ["年假每年二十天。"]
    assert [item["content"] for item in await listed(owned)] == [
        LINES[0],
        "年假每年二十天。",
        *LINES[2:],
    ]
    again = await change(owned, changed["id"], content="年假每年十五天。")
    assert again["id"] == changed["id"]
    assert await texts(owned, "年假") == ["年假每年十五天。"]
    assert [item["id"] for item in await listed(owned, state="edited")] == [changed["id"]]


async def test_a_disabled_chunk_answers_no_more_and_counts_no_more(
    owned: Kb, tmp_path: Path
) -> None:
    found = await chunk(owned, "年假")
    score = (await owned.search("证明", top_k=1))[0]["score"]
    off = await change(owned, found["id"], enabled=False)
    assert off["state"] == "disabled"
    assert await texts(owned, "年假") == []
    assert [item["id"] for item in await listed(owned, state="disabled")] == [off["id"]]
    on = await change(owned, off["id"], enabled=True)
    assert (on["state"], on["content"]) == ("enabled", LINES[1])
    assert await texts(owned, "年假") == [LINES[1]]
    assert (await owned.search("证明", top_k=1))[0]["score"] == score


async def test_chunks_are_added_and_deleted(owned: Kb) -> None:
    first = (await owned.post(BASE, {"content": "总则：适用于全体员工。"}, OWNER)).json()
    after = await chunk(owned, "年假")
    answer = await owned.post(BASE, {"content": "年假可顺延。", "after": after["id"]}, OWNER)
    assert answer.status_code == 201
    new = answer.json()
    assert (new["state"], new["original"]) == ("added", None)
    contents = [item["content"] for item in await listed(owned)]
    assert contents == [first["content"], *LINES[:2], new["content"], *LINES[2:]]
    assert set(await texts(owned, "年假")) == {LINES[1], "年假可顺延。"}
    gone = await owned.http.delete(f"{BASE}/{new['id']}", headers=OWNER)
    assert gone.status_code == 204
    assert await texts(owned, "年假") == [LINES[1]]
    assert (await owned.http.delete(f"{BASE}/{new['id']}", headers=OWNER)).status_code == 404
    own = await owned.http.delete(f"{BASE}/{after['id']}", headers=OWNER)
    assert (own.status_code, own.json()["code"]) == (409, "conflict")


async def test_history_says_who_when_and_what_and_each_is_restorable(owned: Kb) -> None:
    changed = await edit(owned, "年假", "年假每年二十天。")
    await change(owned, changed["id"], enabled=False)
    path = f"{BASE}/{changed['id']}"
    first, second = (await owned.get(f"{path}/history", OWNER)).json()["items"]
    assert (first["number"], first["action"]) == (1, "edit")
    assert (first["before"], first["after"]) == (LINES[1], "年假每年二十天。")
    assert (first["client_id"], first["user_id"], first["enabled"]) == ("7", "u1", True)
    assert first["time"].endswith("Z")
    assert (second["action"], second["enabled"]) == ("disable", False)
    back = await owned.post(f"{path}/restore", {"number": 1}, OWNER)
    assert back.json()["state"] == "edited"
    assert await texts(owned, "年假") == ["年假每年二十天。"]
    own = await owned.post(f"{path}/restore", {"number": 0}, OWNER)
    assert (own.json()["state"], own.json()["content"]) == ("enabled", LINES[1])
    assert await texts(owned, "年假") == [LINES[1]]
    assert len((await owned.get(f"{path}/history", OWNER)).json()["items"]) == 4
    assert (await owned.post(f"{path}/restore", {"number": 9}, OWNER)).status_code == 404


async def test_a_deleted_chunk_is_restorable(owned: Kb) -> None:
    new = (await owned.post(BASE, {"content": "年假可顺延。"}, OWNER)).json()
    await owned.http.delete(f"{BASE}/{new['id']}", headers=OWNER)
    await owned.post(f"{BASE}/{new['id']}/restore", {"number": 1}, OWNER)
    assert "年假可顺延。" in await texts(owned, "年假")


@pytest.mark.parametrize("how", ["override", "split", "recreate", "update", "delete"])
async def test_edits_survive_re_ingest(owned: Kb, how: str) -> None:
    await edit(owned, "年假", "年假每年二十天。")
    off = await chunk(owned, "婚假")
    await change(owned, off["id"], enabled=False)
    await owned.post(BASE, {"content": "哺乳假另行规定。"}, OWNER)
    await reingested(owned, how)
    assert await texts(owned, "年假") == ["年假每年二十天。"]
    assert await texts(owned, "婚假") == []
    assert await texts(owned, "哺乳假") == ["哺乳假另行规定。"]
    assert [item["state"] for item in await listed(owned)][-1] == "disabled"
    assert {item["state"] for item in await listed(owned)} == {
        *("enabled", "edited", "disabled", "added")
    }


async def reingested(kb: Kb, how: str) -> None:
    names = {"knowledge_base_name": "kb1", "file_names": ["a.txt"]}
    if how == "override":
        assert (await put(kb, "新增的第一行文字。\n" + TEXT, **CUT))["reason"] == ""
    elif how == "split":
        path = BASE.replace("/chunks", "/split")
        answer = (await kb.post(path, {"zh_title_enhance": True}, OWNER)).json()
        assert (await over(kb, answer["jobs"][0]["id"]))["state"] == "done"
    elif how == "recreate":
        await kb.post("/knowledge_base/recreate_vector_store", {"knowledge_base_name": "kb1"})
    else:
        if how == "delete":
            await kb.post("/knowledge_base/delete_docs", names)
            assert await texts(kb, "年假 哺乳假") == []
        await kb.post("/knowledge_base/update_docs", names)


async def test_edits_go_when_their_user_says_so(owned: Kb, tmp_path: Path) -> None:
    await edit(owned, "年假", "年假每年二十天。")
    await owned.post(BASE, {"content": "哺乳假另行规定。"}, OWNER)
    await put(owned, TEXT, discard_edits="true", **CUT)
    assert [item["content"] for item in await listed(owned)] == list(LINES)
    assert await texts(owned, "年假 哺乳假") == [LINES[1]]


async def test_an_edit_whose_text_is_gone_is_kept_beside_and_told(owned: Kb) -> None:
    await edit(owned, "年假", "年假每年二十天。")
    job = await put(owned, "\n".join((LINES[0], *LINES[2:])), **CUT)
    assert "kept as added chunks" in job["reason"]
    kept = await chunk(owned, "年假")
    assert (kept["state"], kept["original"]) == ("added", LINES[1])
    assert await texts(owned, "年假") == ["年假每年二十天。"]
    await put(owned, TEXT, **CUT)  # it is back
    assert (await chunk(owned, "年假"))["state"] == "edited"
    assert await texts(owned, "年假") == ["年假每年二十天。"]


async def test_an_edit_whose_text_has_changed_a_little_stays_where_it_was(owned: Kb) -> None:
    await edit(owned, "年假", "年假每年二十天。")
    job = await put(owned, TEXT.replace("十天有效", "九天有效"), **CUT)
    assert "look at them" in job["reason"]
    assert await texts(owned, "年假") == ["年假每年二十天。"]
    assert (await chunk(owned, "年假"))["original"] == "年假每年九天有效。"


async def test_what_is_given_around_a_chunk_has_the_new_text_too(kb: Kb) -> None:
    await filled(kb, "".join(LINES), **WINDOWS)
    assert LINES[1] in (await texts(kb, "医院证明"))[0]
    changed = await edit(kb, "年假", "年假每年二十天。")
    around = (await texts(kb, "医院证明"))[0]
    assert around == f"年假每年二十天。{LINES[2]}{LINES[3]}"
    assert (await texts(kb, "二十天"))[0] == f"{LINES[0]}年假每年二十天。{LINES[2]}"
    await change(kb, changed["id"], enabled=False)
    assert (await texts(kb, "医院证明"))[0] == f"{LINES[2]}{LINES[3]}"


async def test_a_parent_has_the_new_text_of_its_child(kb: Kb) -> None:
    split = {"splitter": "parent_child", "chunk_size": "10", "chunk_overlap": "0"}
    await filled(kb, TEXT, **split, parent_size="200")
    assert await texts(kb, "年假 医院") == [TEXT]
    await edit(kb, "年假", "年假每年二十天。")
    assert await texts(kb, "年假 医院") == [TEXT.replace(LINES[1], "年假每年二十天。")]
    await reingested(kb, "recreate")
    assert await texts(kb, "年假 医院") == [TEXT.replace(LINES[1], "年假每年二十天。")]
    await change(kb, (await chunk(kb, "年假"))["id"], enabled=False)
    assert await texts(kb, "年假 医院") == [TEXT.replace(LINES[1], "")]


async def test_files_in_folders_with_any_name(kb: Kb) -> None:
    await kb.create(who=OWNER)
    assert await kb.uploaded(("规章/chunks/休假 100%.txt", TEXT.encode())) == {}
    path = BASE.replace("a.txt", quote("规章/chunks/休假 100%.txt"))
    (only,) = (await kb.get(path, OWNER)).json()["items"]
    answer = await kb.http.patch(f"{path}/{only['id']}", json={"content": "新"}, headers=OWNER)
    assert answer.json()["state"] == "edited"
    assert (await kb.get(f"{path}/{answer.json()['id']}/history", OWNER)).status_code == 200


async def test_search_never_sees_both_nor_a_hole(owned: Kb) -> None:
    """A user edits, the file is indexed again, and somebody searches all the while."""
    over_now = asyncio.Event()
    seen: list[int] = []

    async def searching() -> None:
        while not over_now.is_set():
            seen.append(len(await texts(owned, "年假")))
            for _ in range(len(seen) % 20):  # at another step of the edit each time
                await asyncio.sleep(0)

    watch = asyncio.create_task(searching())
    changed = await edit(owned, "年假", "年假每年零天。")
    for number in range(1, 7):
        await change(owned, changed["id"], content=f"年假每年{number}天。")
        if number % 3 == 0:
            await put(owned, f"第{number:02}版从今天起生效。\n{TEXT}", **CUT)
    over_now.set()
    await watch
    assert set(seen) == {1}
    assert await texts(owned, "年假") == ["年假每年6天。"]


async def test_nothing_stays_of_a_deleted_file(make_settings: Make, tmp_path: Path) -> None:
    gone = {"knowledge_base_name": "kb1", "file_names": ["a.txt"], "delete_content": True}
    async with connected(make_settings()) as kb:
        await filled(kb)
        changed = await edit(kb, "年假", "年假每年二十天。")
        await change(kb, changed["id"], content="年假每年十五天。")
        await change(kb, (await chunk(kb, "婚假"))["id"], enabled=False)
        await kb.post(BASE, {"content": "哺乳假另行规定。"}, OWNER)
        await kb.post("/knowledge_base/delete_docs", gone)
        assert await texts(kb, "年假 哺乳假") == []
        for table in ("chunk", "chunk_edit", "chunk_revision", "index_version"):
            assert count(tmp_path, table) == 0, table
        await put(kb, TEXT, **CUT)
        assert [item["content"] for item in await listed(kb)] == list(LINES)
    assert await points(tmp_path, 1) == 4


async def test_an_edit_survives_a_restart(make_settings: Make, tmp_path: Path) -> None:
    async with connected(make_settings()) as kb:
        await filled(kb)
        await edit(kb, "年假", "年假每年二十天。")
        await change(kb, (await chunk(kb, "婚假"))["id"], enabled=False)
        score = await kb.search("证明")
    assert await points(tmp_path, 1) == 3
    async with connected(make_settings()) as kb:
        assert await texts(kb, "年假 婚假") == ["年假每年二十天。"]
        assert await kb.search("证明") == score
    assert await points(tmp_path, 1) == 3


async def test_two_at_once_do_not_overwrite_each_other(owned: Kb) -> None:
    found = await chunk(owned, "年假")
    answers = await asyncio.gather(
        *(
            owned.http.patch(
                f"{BASE}/{found['id']}", json={"content": f"年假{n}天。"}, headers=OWNER
            )
            for n in range(5)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses) <= {200, 409}
    assert len(await texts(owned, "年假")) == 1


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with gated() as endpoint:
        yield endpoint


async def test_an_edit_while_its_file_is_indexed_is_not_lost(
    make_settings: Make, gate: Gate
) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await filled(kb)
        gate.shut()
        job = await add(kb, ("a.txt", TEXT.encode()), who=OWNER, override="true", **CUT)
        await gate.asked.wait()
        gate.asked.clear()
        changing = asyncio.create_task(edit(kb, "年假", "年假每年二十天。"))
        await gate.asked.wait()
        gate.open()
        await changing
        assert (await over(kb, job["jobs"][0]["id"]))["state"] == "done"
        assert await texts(kb, "年假") == ["年假每年二十天。"]


async def test_a_flip_that_was_planned_for_other_edits_is_refused(
    make_settings: Make, tmp_path: Path
) -> None:
    async with connected(make_settings()) as kb:
        await filled(kb)
        await edit(kb, "年假", "年假每年二十天。")
    database = Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")
    files, leases = FileStore(database), LeaseStore(database)
    [job_id] = await JobStore(database).add([new_job("a.txt", "7", "c1")])
    job = await leases.claim()
    assert job
    assert job.id == job_id
    await VersionStore(database).begin("v2", 1, job.lease, "lexical", Labels())
    new = NewVersion("v2", 1, "a.txt", Content("c1", 1, 1.0), False, job.options, "", "", 0, b"")
    before = await files.find(1, "a.txt")
    for seen in (frozenset[tuple[int, int]](), frozenset({(1, 2)})):
        with pytest.raises(EditsChanged):
            await files.go_live(new, job.lease, EditPlan(seen))
    assert await files.find(1, "a.txt") == before
    await files.go_live(new, job.lease, EditPlan(frozenset({(1, 1)})))
    await database.close()


async def test_without_the_embedder_an_edit_fails_and_nothing_changes(
    make_settings: Make, gate: Gate, tmp_path: Path
) -> None:
    async with connected(gate.settings(make_settings)) as kb:
        await filled(kb)
        found = await chunk(kb, "年假")
        gate.status = 400
        answer = await kb.http.patch(
            f"{BASE}/{found['id']}", json={"content": "年假每年二十天。"}, headers=OWNER
        )
        gate.status = 200
        assert (answer.status_code, answer.json()["code"]) == (502, "upstream_error")
        assert await listed(kb, text="年假") == [found]
        assert await texts(kb, "年假") == [LINES[1]]
        assert count(tmp_path, "index_version") == 1


async def test_edits_move_to_another_embedding_model(make_settings: Make, gate: Gate) -> None:
    async with connected(make_settings()) as kb:
        await filled(kb)
        await edit(kb, "年假", "年假每年二十天。")
    async with connected(gate.settings(make_settings)) as kb:
        assert await texts(kb, "年假") == ["年假每年二十天。"]
        await change(kb, (await chunk(kb, "婚假"))["id"], content="婚假改为五天。")
        assert await texts(kb, "婚假") == ["婚假改为五天。"]
        await reingested(kb, "recreate")
        assert await texts(kb, "年假") == ["年假每年二十天。"]
        assert await texts(kb, "婚假") == ["婚假改为五天。"]
    async with connected(make_settings()) as kb:  # back again: by words alone
        assert await texts(kb, "年假") == ["年假每年二十天。"]


@pytest.mark.parametrize(
    "wrong", [{"content": " "}, {"content": "x" * 20_001}, {"content": "\0"}, {"enabled": "maybe"}]
)
async def test_bad_content_is_refused(owned: Kb, wrong: dict[str, Any]) -> None:
    found = await chunk(owned, "年假")
    answer = await owned.http.patch(f"{BASE}/{found['id']}", json=wrong, headers=OWNER)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("chunk_id", ["e99", "x", "e", f"{'0' * 32}-1", "-", "e" + "9" * 30])
async def test_an_unknown_chunk_is_not_there(owned: Kb, chunk_id: str) -> None:
    answer = await owned.http.patch(f"{BASE}/{chunk_id}", json={"content": "新"}, headers=OWNER)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_may_not_be_seen_is_not_there(owned: Kb) -> None:
    found = await chunk(owned, "年假")
    asks = [("GET", ""), ("POST", ""), ("PATCH", f"/{found['id']}"), ("DELETE", f"/{found['id']}")]
    asks += [("GET", f"/{found['id']}/history"), ("POST", f"/{found['id']}/restore")]
    body = {"content": "他人的内容", "number": 0}
    for method, path in asks:
        for who, status in ((STRANGER, 404), (READER, 403)):
            answer = await owned.http.request(method, BASE + path, json=body, headers=who)
            assert answer.status_code == status, (method, path)
    assert [item["content"] for item in await listed(owned)] == list(LINES)
