"""Recommended questions as operators and owner clients manage them."""

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from alembic import command
from alembic.config import Config

from kb_service import models
from kb_service.entities import NewQuestion
from kb_service.errors import NoSuchKnowledgeBase
from kb_service.question_keys import question_key
from kb_service.settings import KbSettings
from kb_service.store import KnowledgeBaseStore, QuestionStore, Shelf
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import ADMIN, OWNER, READER, STRANGER, Kb, caller_header, connected

PATH, OFFERED = "/admin/questions", "/recommend/question"
Make = Callable[..., KbSettings]


async def add(kb: Kb, query: str, who: dict[str, str] = ADMIN, **more: Any) -> dict[str, Any]:
    answer = await kb.post(PATH, {"query": query} | more, who)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def listed(kb: Kb, who: dict[str, str] = ADMIN, /, **params: Any) -> list[str]:
    page = (await kb.get(PATH, who, **params)).json()
    assert page["total"] >= len(page["items"])
    return [item["query"] for item in page["items"]]


async def taps(kb: Kb, number: int) -> int:
    count: int = (await kb.get(f"{PATH}/{number}")).json()["tap_count"]
    return count


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def change(kb: Kb, number: int, who: dict[str, str] = ADMIN, **body: Any) -> httpx.Response:
    return await kb.http.patch(f"{PATH}/{number}", json=body, headers=who)


async def test_added_changed_disabled_and_deleted(kb: Kb) -> None:
    await kb.create()
    made = await add(kb, " 年假几天？ ", knowledge_base="kb1", answer="十天")
    assert (
        made.items()
        >= {
            "query": "年假几天？",
            "knowledge_base": "kb1",
            "answer": "十天",
            "tap_count": 0,
            "enabled": True,
            "owner_client": "admin",
        }.items()
    )
    assert made["create_time"].endswith("Z")
    number = made["id"]
    assert (await kb.get(f"{PATH}/{number}")).json() == made
    assert (await change(kb, number)).json() == made
    changed = (await change(kb, number, query="年假有几天？", enabled=False)).json()
    assert changed == made | {"query": "年假有几天？", "enabled": False}
    assert (await kb.get(OFFERED, READER, num=9)).json()["data"] == []
    changed = (await change(kb, number, answer=None, knowledge_base=None, enabled=True)).json()
    assert (changed["answer"], changed["knowledge_base"]) == (None, None)
    [offered] = (await kb.get(OFFERED, READER, num=9, kb_name="")).json()["data"]
    assert (offered["id"], offered["query"]) == (number, "年假有几天？")
    assert (await kb.http.delete(f"{PATH}/{number}", headers=ADMIN)).status_code == 204
    for answer in (
        await kb.get(f"{PATH}/{number}"),
        await change(kb, number, query="x"),
        await kb.http.delete(f"{PATH}/{number}", headers=ADMIN),
        await kb.post(f"{OFFERED}/{number}/tap", None, READER),
    ):
        is_problem(answer, 404, "not_found")


async def test_equal_questions_are_added_once(kb: Kb) -> None:
    await kb.create()
    await add(kb, "年假几天？", knowledge_base="kb1")
    body = {"query": "年假 几天?", "knowledge_base": "kb1"}
    is_problem(await kb.post(PATH, body), 409, "conflict")
    await add(kb, "年假几天？")
    await add(kb, "年假几天？", OWNER)
    assert len(await listed(kb)) == 3


async def test_the_list_has_pages_and_filters(kb: Kb) -> None:
    await kb.create("kb1")
    await kb.create("kb2")
    for number in range(3):
        await add(kb, f"问题 {number}", knowledge_base="kb1")
    await add(kb, "百分之 100% 是多少", knowledge_base="kb2", enabled=False)
    await add(kb, "你好")
    assert len(await listed(kb)) == 5
    assert await listed(kb, page=2, page_size=2) == ["问题 2", "问题 1"]
    assert await listed(kb, kb="kb1", page_size=1) == ["问题 2"]
    assert await listed(kb, kb="") == ["你好"]
    assert await listed(kb, enabled=False) == ["百分之 100% 是多少"]
    assert await listed(kb, query="0%") == ["百分之 100% 是多少"]
    assert await listed(kb, query="题 1") == ["问题 1"]
    assert await listed(kb, query="_") == []
    assert await listed(kb, page=99) == []
    is_problem(await kb.get(PATH, kb="none"), 404, "not_found")
    for wrong in ({"page": 0}, {"page_size": 201}, {"enabled": "x"}, {"query": "x" * 201}):
        is_problem(await kb.get(PATH, **wrong), 422, "invalid")


async def test_whose_questions_they_are(kb: Kb) -> None:
    """A knowledge base's owner has all of its questions, whoever added them."""
    await kb.create(who=OWNER)
    by_admin = await add(kb, "管理员加的", knowledge_base="kb1")
    everybodys = await add(kb, "大家的")
    own = await add(kb, "自己的", OWNER)
    assert await listed(kb, OWNER) == ["自己的", "管理员加的"]
    assert await listed(kb) == ["自己的", "大家的", "管理员加的"]
    assert await listed(kb, STRANGER) == []
    assert (await change(kb, by_admin["id"], OWNER, query="改了")).status_code == 200
    confined = caller_header("7", ("kb:read", "kb:write"), confined_to=("other",))
    for who, item in ((OWNER, everybodys), (STRANGER, own), (STRANGER, by_admin), (confined, own)):
        is_problem(await change(kb, item["id"], who, query="x"), 404, "not_found")
        assert (await kb.http.delete(f"{PATH}/{item['id']}", headers=who)).status_code == 404
    is_problem(await kb.post(PATH, {"query": "首页"}, confined), 403, "refused")
    # Into another's knowledge base: as into one that is not there.
    is_problem(await change(kb, own["id"], STRANGER, knowledge_base="kb1"), 404, "not_found")
    await kb.create("theirs", STRANGER)
    is_problem(await change(kb, own["id"], OWNER, knowledge_base="theirs"), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "  "},
        {"query": "长" * 201},
        {"query": None},
        {"query": "x", "answer": "长" * 4_001},
        {"query": "x", "enabled": "maybe"},
        {"query": "x", "knowledge_base": 5},
        {"query": "\ud800"},
        {"query": "x\0"},
        {"query": "x", "answer": "\0"},
    ],
)
async def test_bounds(kb: Kb, body: dict[str, Any]) -> None:
    content = json.dumps(body)
    headers = ADMIN | {"content-type": "application/json"}
    is_problem(await kb.http.post(PATH, content=content, headers=headers), 422, "invalid")
    if body:
        made = await add(kb, "好")
        path = f"{PATH}/{made['id']}"
        is_problem(await kb.http.patch(path, content=content, headers=headers), 422, "invalid")
        assert (await kb.get(path)).json() == made


async def test_a_tap_is_counted(kb: Kb) -> None:
    await kb.create(who=OWNER)
    number = (await add(kb, "年假几天？", knowledge_base="kb1"))["id"]
    for _ in range(3):
        answer = await kb.post(f"{OFFERED}/{number}/tap", None, READER)
        assert (answer.status_code, answer.content) == (204, b"")
    assert await taps(kb, number) == 3
    await change(kb, number, enabled=False)
    is_problem(await kb.post(f"{OFFERED}/{number}/tap", None, READER), 404, "not_found")
    is_problem(await kb.post(f"{OFFERED}/0/tap", None, READER), 422, "invalid")
    assert await taps(kb, number) == 3


async def test_a_question_that_a_chat_asks_is_a_tap(kb: Kb) -> None:
    """As the published H5 does it: it sends the question, and says nothing else of it."""
    await kb.create("kb1")
    await kb.create("kb2")
    number = (await add(kb, "年假几天？", knowledge_base="kb1"))["id"]
    free = (await add(kb, "年假几天？"))["id"]
    off = (await add(kb, "停用的？", knowledge_base="kb1", enabled=False))["id"]

    async def ask(query: str, name: str = "kb1", path: str = "/internal/search") -> None:
        body = {"query": query, "knowledge_base_name": name}
        assert (await kb.post(path, body, READER)).status_code == 200

    for query in ("年假几天？", "年假几天?", " 年假几天", "年假几天吗？", "停用的？"):
        await ask(query)
    await ask("年假几天？", "kb2")
    await ask("年假几天？", path="/knowledge_base/search_docs")  # no chat
    assert [await taps(kb, one) for one in (number, free, off)] == [3, 0, 0]


async def test_what_is_tapped_is_offered_more_often(kb: Kb) -> None:
    await kb.create()
    numbers = [(await add(kb, f"问题 {n}", knowledge_base="kb1"))["id"] for n in range(2)]
    for _ in range(30):
        await kb.post(f"{OFFERED}/{numbers[0]}/tap", None, READER)
    offered = [
        (await kb.get(OFFERED, READER, num=1, kb_name="kb1")).json()["data"][0]["id"]
        for _ in range(100)
    ]
    # New ones weigh as the average, here 4.4 to 2.7: fewer than 40 in 100 is one in 10^6.
    assert 40 < offered.count(numbers[0]) < 100


def csv_file(*rows: str, encoding: str = "utf-8") -> bytes:
    return "\r\n".join(rows).encode(encoding)


def xlsx_file(*rows: tuple[Any, ...]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


async def imported(
    kb: Kb, name: str, content: bytes, who: dict[str, str] = ADMIN, /, **form: str
) -> httpx.Response:
    file = {"file": (name, content)}
    return await kb.http.post(f"{PATH}/import", data=form, files=file, headers=who)


TABLES = {
    "q.csv": csv_file(
        *(
            "question,answer,enabled",
            "年假几天？,十天,",
            "年假几天,,",
            ",没有问题,",
            "病假呢？,,no",
        ),
        *("", '"两行的', '问题？",,', "可以吗？,,也许", "长" * 201 + ",,"),
    ),
    "gbk.csv": csv_file(
        *("问题,答案,启用", "年假几天？,十天,是", "年假几天,,", ",没有问题,", "病假呢？,,否", ""),
        *('"两行的', '问题？",,', "可以吗？,,也许", "长" * 201 + ",,"),
        encoding="gbk",
    ),
    "q.xlsx": xlsx_file(
        *(("问题", "答案", "启用"), ("年假几天？", "十天", True), ("年假几天",), ("", "没有问题")),
        *(("病假呢？", None, False), (), ("两行的\n问题？",), ("可以吗？", None, "也许")),
        ("长" * 201,),
    ),
    "q.jsonl": "\n".join(
        [
            json.dumps({"query": "年假几天？", "answer": "十天"}),
            json.dumps({"query": "年假几天"}),
            json.dumps({"answer": "没有问题"}),
            json.dumps({"query": "病假呢？", "enabled": False}),
            "",
            json.dumps({"query": "两行的\n问题？"}),
            json.dumps({"query": "可以吗？", "enabled": "也许"}),
            json.dumps({"query": "长" * 201}),
        ]
    ).encode(),
}


@pytest.mark.parametrize("name", TABLES)
async def test_a_table_is_imported_line_by_line(kb: Kb, name: str) -> None:
    await kb.create(who=OWNER)
    answer = await imported(kb, name, TABLES[name], OWNER, kb="kb1")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["added"], body["duplicates"], body["invalid"]) == (3, 1, 3)
    results = [line["result"] for line in body["lines"]]
    assert results == ["added", "duplicate", "invalid", "added", "added", "invalid", "invalid"]
    first = 1 if name.endswith("jsonl") else 2
    assert [line["line"] - first for line in body["lines"]][:4] == [0, 1, 2, 3]
    assert [bool(line["reason"]) for line in body["lines"]] == [r == "invalid" for r in results]
    items = (await kb.get(PATH, OWNER, kb="kb1")).json()["items"]
    assert [(item["query"], item["answer"], item["enabled"]) for item in items] == [
        ("两行的\n问题？", None, True),
        ("病假呢？", None, False),
        ("年假几天？", "十天", True),
    ]
    again = (await imported(kb, name, TABLES[name], OWNER, kb="kb1")).json()
    assert (again["added"], again["duplicates"], again["invalid"]) == (0, 4, 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.pdf", b"question\nx\n"),
        ("q", b"question\nx\n"),
        ("q.csv", b"title,text\nx,y\n"),
        ("q.csv", b""),
        ("q.csv", TABLES["q.xlsx"]),
        ("q.xlsx", b"question\nx\n"),
        ("q.xlsx", b"PK\x03\x04 and then nothing"),
        ("q.jsonl", b'{"title": "x"}\n'),
        ("q.csv", b"question\n" + b"x\n" * 5_001),
        ("q.csv", b"question\n" + b"x" * (10 << 20)),
    ],
)
async def test_a_table_that_is_none_is_a_problem(kb: Kb, name: str, content: bytes) -> None:
    is_problem(await imported(kb, name, content), 422, "invalid")
    assert await listed(kb) == []


async def test_lines_of_any_json(kb: Kb) -> None:
    lines = [b"[1]", b"{", b"5", b'{"question": ["x"]}', b'{"question": 5}', b'{"question": null}']
    lines += [b'{"question": "\\ud800"}', b'{"question": "a\\u0000b"}', b"[" * 100_000]
    body = (await imported(kb, "q.jsonl", b"\n".join(lines))).json()
    assert [line["result"] for line in body["lines"]] == [
        *("invalid", "invalid", "invalid", "invalid", "added"),
        *("invalid", "invalid", "invalid", "invalid"),
    ]
    assert await listed(kb) == ["5"]


async def test_whom_a_table_may_be_imported_for(kb: Kb) -> None:
    await kb.create(who=OWNER)
    table = TABLES["q.jsonl"]
    is_problem(await imported(kb, "q.jsonl", table, STRANGER, kb="kb1"), 404, "not_found")
    is_problem(await imported(kb, "q.jsonl", table, READER, kb="kb1"), 403, "forbidden")
    confined = caller_header("7", ("kb:read", "kb:write"), confined_to=("kb1",))
    is_problem(await imported(kb, "q.jsonl", table, confined), 403, "refused")
    assert (await imported(kb, "q.jsonl", table, confined, kb="kb1")).status_code == 200
    assert (await imported(kb, "q.jsonl", table, OWNER)).json()["added"] == 3
    assert await listed(kb, kb="") == ["两行的\n问题？", "病假呢？", "年假几天？"]
    is_problem(await kb.post(f"{PATH}/import", {}), 422, "invalid")


async def test_taps_at_the_same_time_are_all_counted(kb: Kb) -> None:
    number = (await add(kb, "问"))["id"]
    path = f"{OFFERED}/{number}/tap"
    await asyncio.gather(*(kb.post(path, None, READER) for _ in range(20)))
    assert await taps(kb, number) == 20


async def test_what_a_chat_tapped_outlives_a_stop(make_settings: Make) -> None:
    settings = make_settings()
    async with connected(settings) as kb:
        await kb.create()
        number = (await add(kb, "年假几天？", knowledge_base="kb1"))["id"]
        body = {"query": "年假几天", "knowledge_base_name": "kb1"}
        await kb.post("/internal/search", body, READER)
    async with connected(settings) as kb:
        assert await taps(kb, number) == 1


def test_questions_of_an_older_schema_are_recognised(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "kb.db")
    config = Config()
    config.set_main_option("script_location", str(Path(models.__file__).parent / "migrations"))
    config.attributes["url"] = url
    command.upgrade(config, "0005_chunking")
    queries = ["年假几天？", "How do I APPLY?", "？", "C++ 是什么"]
    with closing(sqlite3.connect(tmp_path / "kb.db")) as database, database:
        database.executemany(
            "INSERT INTO question (query, tap_count, enable, create_time, owner_client)"
            " VALUES (?, 0, 1, '2026-01-01 00:00:00.000000', 'admin')",
            [(query,) for query in queries],
        )
    command.upgrade(config, "head")
    with closing(sqlite3.connect(tmp_path / "kb.db")) as database:
        rows = database.execute("SELECT query, match_key FROM question ORDER BY id").fetchall()
    assert rows == [(query, question_key(query)) for query in queries]


async def test_a_change_makes_no_second_of_the_same(kb: Kb) -> None:
    await kb.create()
    first = await add(kb, "年假几天？", knowledge_base="kb1")
    second = await add(kb, "病假几天？", knowledge_base="kb1")
    free = await add(kb, "年假几天？")
    is_problem(await change(kb, second["id"], query="年假几天"), 409, "conflict")
    is_problem(await change(kb, free["id"], knowledge_base="kb1"), 409, "conflict")
    for body in ({"query": "年假几天?"}, {"enabled": False}, {"query": "婚假几天？"}):
        assert (await change(kb, first["id"], **body)).status_code == 200
    assert (await change(kb, second["id"], query="年假几天")).status_code == 200


async def test_a_knowledge_base_that_goes_takes_questions_to_come_with_it(
    make_settings: Make,
) -> None:
    """Else they would be offered in a later one of the same name, whosever that is."""
    database = Database(sqlite_url(make_settings().folder / "kb.db"), package="kb_service")
    rows, store = KnowledgeBaseStore(database), QuestionStore(database)
    options: dict[str, Any] = {
        "vs_type": "faiss",
        "embed_model": "",
        "owner_client": "7",
        "questions": (),
    }
    gone = await rows.add("kb1", zh_name="", info="", **options)
    (known,) = await store.add_all([NewQuestion("年假几天？")], None, owner_client="7")
    await rows.remove(gone)
    await rows.add("kb1", zh_name="", info="", **options)
    new = NewQuestion("病假几天？", "kb1")
    with pytest.raises(NoSuchKnowledgeBase):
        await store.add_all([new], gone, owner_client="7")
    with pytest.raises(NoSuchKnowledgeBase):
        await store.change(known.id, new, gone, Shelf([], None))
    assert await store.keys(Shelf(["kb1"], None)) == [question_key("年假几天？")]
    await database.close()
