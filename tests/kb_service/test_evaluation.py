"""Evaluation sets and runs over HTTP, as operators and owner clients use them."""

import asyncio
import csv
import io
import json
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
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
    trusting,
)

BASES = "/admin/knowledge-bases"
SETS = f"{BASES}/kb1/eval-sets"
LEAVE = "年假满一年五天，满十年十天，满二十年十五天。"
MEALS = "食堂午餐十二点开始供应，一点半结束，周末不开放。"
WIFI = "访客无线网络的密码每周一更换，前台可以查询。"
TEXTS = {"leave.txt": LEAVE, "meals.txt": MEALS, "wifi.txt": WIFI}
Make = Callable[..., KbSettings]


@pytest.fixture(scope="module")
async def kb(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> AsyncIterator[Kb]:
    """One service with a knowledge base that no test changes; each makes sets of its own."""
    folder = trusting(tmp_path_factory.mktemp("evaluation"), migrated)
    async with connected(KbSettings(chat2llm_data=folder, kb_sample=False)) as running:
        await fill(running)
        yield running


async def fill(kb: Kb, base: str = "kb1") -> None:
    await kb.create(base, who=OWNER)
    docs = {name: [{"page_content": text, "metadata": {}}] for name, text in TEXTS.items()}
    files = [(name, text.encode()) for name, text in TEXTS.items()]
    assert await kb.uploaded(*files, kb=base, docs=json.dumps(docs)) == {}


async def made(kb: Kb, *items: dict[str, Any], base: str = "kb1") -> str:
    """The path of a new set."""
    sets = f"{BASES}/{base}/eval-sets"
    answer = await kb.post(sets, {"name": uuid.uuid4().hex, "note": "n"}, OWNER)
    assert answer.status_code == 201, answer.text
    path = f"{sets}/{answer.json()['id']}"
    for item in items:
        assert (await kb.post(f"{path}/items", item, OWNER)).status_code == 201
    return path


async def sent(kb: Kb, path: str, *files: tuple[str, str, bytes], **form: str) -> httpx.Response:
    """The import of a form's files, each with its field and name."""
    given = [(field, (name, content)) for field, name, content in files]
    return await kb.http.post(f"{path}/items/import", files=given, data=form, headers=OWNER)


async def ran(kb: Kb, path: str, **body: Any) -> dict[str, Any]:
    """A run that came to its end."""
    run = (await kb.post(f"{path}/runs", body, OWNER)).json()
    while run["state"] in {"queued", "running"}:
        await asyncio.sleep(0.01)
        run = (await kb.get(f"{path}/runs/{run['id']}", OWNER)).json()
    assert run["state"] == "done", run
    return run  # type: ignore[no-any-return]  # JSON


async def begun(kb: Kb, path: str, run: dict[str, Any]) -> None:
    while run["state"] == "queued":
        await asyncio.sleep(0.01)
        run = (await kb.get(f"{path}/runs/{run['id']}", OWNER)).json()
    assert run["state"] == "running"


async def items(kb: Kb, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await kb.get(f"{path}/items", OWNER)).json()["items"]
    return [{key: value for key, value in item.items() if key != "id"} for item in found]


def item(question: str, **more: Any) -> dict[str, Any]:
    empty = {"files": [], "passages": [], "answer": "", "refuse": False, "note": ""}
    return {"question": question} | empty | more


async def test_sets_and_items_are_kept_changed_and_removed(kb: Kb) -> None:
    known = (await kb.post(SETS, {"name": " 日常 ", "note": "n"}, OWNER)).json()
    path = f"{SETS}/{known['id']}"
    assert (await kb.get(path, OWNER)).json() == known
    assert (known["name"], known["items"], known["judged"], known["runs"]) == ("日常", 0, 0, 0)
    assert (await kb.post(SETS, {"name": "日常"}, OWNER)).status_code == 409
    body = item(" 年假几天？ ", files=["leave.txt"], passages=[LEAVE], note="人事")
    added = (await kb.post(f"{path}/items", body, OWNER)).json()
    assert added | {"id": 0} == body | {"id": 0, "question": "年假几天？"}
    assert (await kb.post(f"{path}/items", item("年假几天 ?"), OWNER)).status_code == 409
    assert (await kb.post(f"{path}/items", item("多少钱"), OWNER)).status_code == 201
    change = {"passages": [], "files": ["leave.txt", "meals.txt"]}
    one = f"{path}/items/{added['id']}"
    changed = (await kb.http.patch(one, json=change, headers=OWNER)).json()
    assert changed == added | change
    taken = await kb.http.patch(one, json={"question": "多少钱？"}, headers=OWNER)
    assert taken.status_code == 409
    assert (await kb.get(f"{path}/items", OWNER, query="年假")).json()["items"] == [changed]
    assert (await kb.get(path, OWNER)).json()["judged"] == 1
    renamed = await kb.http.patch(path, json={"name": "新"}, headers=OWNER)
    assert (renamed.json()["name"], renamed.json()["note"]) == ("新", "n")
    named = (await kb.get(SETS, OWNER, name="新")).json()
    assert ([one["name"] for one in named["items"]], named["total"]) == (["新"], 1)
    assert (await kb.get(SETS, OWNER, name="日常")).json()["total"] == 0
    assert (await kb.http.delete(one, headers=OWNER)).status_code == 204
    assert (await kb.get(one, OWNER)).status_code == 404
    assert (await kb.http.delete(path, headers=OWNER)).status_code == 204
    assert (await kb.get(path, OWNER)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"question": " "},
        {"question": "x" * 4_097},
        {"question": "x\0"},
        {"question": "x", "refuse": True, "files": ["a.txt"]},
        {"question": "x", "passages": ["y" * 10_001]},
        {"question": "x", "files": ["f"] * 21},
        {"question": "x", "refuse": "perhaps"},
    ],
)
async def test_a_senseless_item_is_refused(kb: Kb, body: dict[str, Any]) -> None:
    answer = await kb.post(f"{await made(kb)}/items", body, OWNER)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_run_measures_what_people_would_find(kb: Kb) -> None:
    path = await made(
        kb,
        item("年假满十年有几天", passages=[LEAVE]),
        item("食堂午餐几点", files=["meals.txt"]),
        item("年假有多少天", files=["wifi.txt"]),  # found, but another file
        item("量子引力", refuse=True),
        item("无线网络密码", refuse=True),  # wrongly answered
        item("食堂在几楼"),  # nobody said what is right
    )
    before = (await kb.get("/admin/knowledge-bases/kb1/statistics")).json()["searches"]
    run = await ran(kb, path, label="默认")
    assert (run["done"], run["total"], run["label"]) == (6, 6, "默认")
    figures = run["figures"]
    latencies = [figures.pop("latency_p50_ms"), figures.pop("latency_p95_ms")]
    assert 0 < latencies[0] <= latencies[1]
    rates = {"hit_at_1", "hit_at_3", "hit_at_5", "hit_at_k", "mrr", "ndcg_at_10"}
    assert {figures.pop(name) for name in rates} == {0.6667}
    assert figures == {
        "questions": 6,
        "judged": 3,
        "unjudged": 1,
        "refusals": 2,
        "refusal_rate": 0.5,
        "wrongly_refused": 0,
        "wrongly_answered": 1,
        "by_meaning": 0,
        "reranked": 0,
    }
    around = run["circumstances"]
    assert (around["files"], around["chunks"]) == (3, 3)
    assert around["chunking"]["splitter"] == "recursive"
    results = (await kb.get(f"{path}/runs/{run['id']}/results", OWNER)).json()["items"]
    verdicts = ["hit", "hit", "missed", "refused", "answered", "unjudged"]
    assert [one["verdict"] for one in results] == verdicts
    assert [one["rank"] for one in results[:3]] == [1, 1, None]
    best = results[0]["found"][0]
    assert (best["file_name"], best["right"], best["excerpt"]) == ("leave.txt", True, LEAVE)
    missed = (await kb.get(f"{path}/runs/{run['id']}/results", OWNER, verdict="missed")).json()
    assert (missed["total"], missed["items"][0]["found"][0]["right"]) == (1, False)
    assert (await kb.get("/admin/knowledge-bases/kb1/statistics")).json()["searches"] == before


async def test_a_run_asks_as_its_options_say(kb: Kb) -> None:
    path = await made(
        kb, item("年假满十年有几天", passages=[LEAVE]), item("食堂几点开饭", passages=[MEALS])
    )
    options = {
        "top_k": 3,
        "score_threshold": 1.5,
        "filter": {"files": ["leave.txt"], "uploaded_after": "2020-01-01T00:00:00Z"},
        "rerank": False,
    }
    run = await ran(kb, path, **options)
    assert run["options"]["filter"].items() >= options["filter"].items()  # type: ignore[attr-defined]  # JSON
    assert (run["options"]["top_k"], run["options"]["rerank"]) == (3, False)
    figures = run["figures"]
    assert (figures["hit_at_3"], figures["hit_at_5"], figures["ndcg_at_10"]) == (0.5, None, None)
    refused = await kb.post(f"{path}/runs", {"filter": {"color": "red"}}, OWNER)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


async def test_a_change_is_compared_question_by_question(kb: Kb) -> None:
    await fill(kb, "changing")
    path = await made(
        kb,
        item("年假满十年有几天", passages=[LEAVE]),
        item("食堂午餐几点", files=["meals.txt"]),
        item("停车场月租多少钱", files=["parking.txt"]),
        item("访客无线网络", refuse=True),
        base="changing",
    )
    first = await ran(kb, path)
    parking = "停车场月租三百元，按月在行政部缴纳。"
    docs = {"parking.txt": [{"page_content": parking, "metadata": {}}]}
    assert (
        await kb.uploaded(("parking.txt", parking.encode()), kb="changing", docs=json.dumps(docs))
        == {}
    )
    gone = {"knowledge_base_name": "changing", "file_names": ["meals.txt"], "delete_content": True}
    await kb.post("/knowledge_base/delete_docs", gone)
    second = await ran(kb, path)
    compare = f"{path}/runs/{first['id']}/compare/{second['id']}"
    found = (await kb.get(compare, OWNER)).json()
    assert found["counts"] == {"better": 1, "worse": 1, "same": 2, "incomparable": 0}
    assert (found["direction"], found["chance"]) == ("unclear", 1)
    assert "1 better, 1 worse, 2 the same" in found["summary"]["en"]
    assert found["changed"] == ["content"]  # as many files and chunks as before
    outcomes = [(one["question"], one["outcome"]) for one in found["items"]]
    assert outcomes[:2] == [("食堂午餐几点", "worse"), ("停车场月租多少钱", "better")]
    better = found["items"][1]
    assert (better["before"]["rank"], better["after"]["rank"]) == (None, 1)
    assert better["after"]["found"][0]["excerpt"] == parking
    hits = next(one for one in found["figures"] if one["figure"] == "hit_at_1")
    assert (hits["before"], hits["after"], hits["difference"]) == (0.6667, 0.6667, 0)
    only = (await kb.get(compare, OWNER, outcome="better", page_size=1)).json()
    assert (only["total"], [one["outcome"] for one in only["items"]]) == (1, ["better"])


async def test_items_that_changed_between_runs_are_not_compared(kb: Kb) -> None:
    questions = ["年假满十年有几天", "食堂午餐几点", "无线网络密码"]
    path = await made(kb, *(item(one, passages=[LEAVE]) for one in questions))
    first = await ran(kb, path)
    numbers = [one["id"] for one in (await kb.get(f"{path}/items", OWNER)).json()["items"]]
    await kb.http.patch(f"{path}/items/{numbers[1]}", json={"passages": [MEALS]}, headers=OWNER)
    await kb.http.delete(f"{path}/items/{numbers[2]}", headers=OWNER)
    await kb.post(f"{path}/items", item("还有什么", passages=[LEAVE]), OWNER)
    second = await ran(kb, path)
    found = (await kb.get(f"{path}/runs/{first['id']}/compare/{second['id']}", OWNER)).json()
    assert found["counts"] == {"better": 0, "worse": 0, "same": 1, "incomparable": 3}
    assert (found["direction"], found["figures"][0]["before"]) == ("same", 1)
    sides = [(one["before"] is None, one["after"] is None) for one in found["items"]]
    assert sides == [(False, False), (False, False), (False, True), (True, False)]


CSV = """question,file,passage,answer,refuse,note
年假几天,leave.txt,,五天,,人事
年假几天,,原文,,,
天气,,,,是,
,,,,,
坏,a.txt,,,是,
"""
EXPECTED = [
    item("年假几天", files=["leave.txt"], passages=["原文"], answer="五天", note="人事"),
    item("天气", refuse=True),
]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
async def test_a_table_is_imported_whatever_its_encoding(kb: Kb, encoding: str) -> None:
    path = await made(kb)
    table = ("file", "set.csv", CSV.encode(encoding))
    done = (await sent(kb, path, table)).json()
    assert (done["added"], done["replaced"], done["unchanged"], done["invalid"]) == (2, 0, 0, 1)
    assert [line["line"] for line in done["lines"]] == [6]
    assert await items(kb, path) == EXPECTED
    again = (await sent(kb, path, table)).json()
    assert (again["added"], again["replaced"], again["unchanged"]) == (0, 0, 2)


async def test_an_export_is_safe_in_a_spreadsheet_and_comes_back_as_it_was(kb: Kb) -> None:
    hostile = item('=HYPERLINK("http://x")', files=["a.txt", "b.txt"], passages=["-1\n行二", "'x"])
    path = await made(kb, hostile, item("@SUM(1)", refuse=True, note="+1"))
    answer = await kb.get(f"{path}/items/export", OWNER)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    copy = await made(kb)
    done = (await sent(kb, copy, ("file", "set.csv", answer.content))).json()
    assert (done["added"], done["unknown_files"]) == (2, ["a.txt", "b.txt"])
    assert await items(kb, copy) == await items(kb, path)


LINES = [
    {"query": "年假几天", "positive": ["leave.txt", "满一年五天"], "answers": ["五天", "十天"]},
    {"question": "午餐", "doc": "meals.txt"},
    {"text": "密码", "positive_passages": [{"docid": "3", "text": WIFI}]},
]


async def test_json_lines_are_read_tolerantly(kb: Kb) -> None:
    path = await made(kb)
    lines = "\n".join(json.dumps(line) for line in LINES) + "\nno json\n[1]\n"
    done = (await sent(kb, path, ("file", "set.jsonl", lines.encode()))).json()
    assert (done["added"], [line["line"] for line in done["lines"]]) == (3, [4, 5])
    assert await items(kb, path) == [
        item("年假几天", files=["leave.txt"], passages=["满一年五天"], answer="五天\n十天"),
        item("午餐", files=["meals.txt"]),
        item("密码", passages=[WIFI]),
    ]
    kept = b'{"question": "\xe5\x8d\x88\xe9\xa4\x90", "refuse": true}'
    done = (await sent(kb, path, ("file", "x.jsonl", kept), existing="keep")).json()
    assert (done["added"], done["replaced"], done["unchanged"]) == (0, 0, 1)
    done = (await sent(kb, path, ("file", "x.jsonl", kept))).json()
    assert (done["replaced"], (await items(kb, path))[1]["refuse"]) == (1, True)


async def test_a_beir_folder_is_imported_with_or_without_its_corpus(kb: Kb) -> None:
    queries = '{"_id": "q1", "text": "年假几天"}\n{"_id": "q2", "text": "没人判断"}'
    qrels = "query-id\tcorpus-id\tscore\nq1\tleave.txt\t1\nq1\td2\t2\nq1\tmeals.txt\t0\n"
    corpus = json.dumps({"_id": "d2", "title": "假期", "text": "满十年十天"})
    parts = [("file", "queries.jsonl", queries.encode()), ("qrels", "test.tsv", qrels.encode())]
    path = await made(kb)
    await sent(kb, path, *parts, ("corpus", "corpus.jsonl", corpus.encode()))
    assert await items(kb, path) == [
        item("年假几天", files=["leave.txt"], passages=["假期\n满十年十天"]),
        item("没人判断"),
    ]
    path = await made(kb)
    done = (await sent(kb, path, *parts)).json()
    assert done["unknown_files"] == ["d2"]
    assert (await items(kb, path))[0] == item("年假几天", files=["leave.txt", "d2"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.pdf", b"%PDF-1.4"),
        ("set.csv", b"file,passage\na.txt,b\n"),
        ("set.csv", b"\0\1\2\3\4" * 99),
        ("set.xlsx", b"PK\3\4"),
    ],
)
async def test_what_is_no_table_of_questions_is_refused(kb: Kb, name: str, content: bytes) -> None:
    answer = await sent(kb, await made(kb), ("file", name, content))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_run_is_called_off_and_removed(kb: Kb) -> None:
    path = await made(kb, item("年假", files=["leave.txt"]))
    many = "question,file\n" + "".join(f"年假第{n}问,leave.txt\n" for n in range(300))
    assert (await sent(kb, path, ("file", "set.csv", many.encode()))).json()["added"] == 300
    runs = [(await kb.post(f"{path}/runs", {}, OWNER)).json() for _ in range(2)]
    await begun(kb, path, runs[0])
    for run in runs:
        cancelled = (await kb.post(f"{path}/runs/{run['id']}/cancel", None, OWNER)).json()
        assert cancelled["state"] == "cancelled"
        again = await kb.post(f"{path}/runs/{run['id']}/cancel", None, OWNER)
        assert again.status_code == 409
    compare = f"{path}/runs/{runs[0]['id']}/compare/{runs[1]['id']}"
    assert (await kb.get(compare, OWNER)).status_code == 409
    assert (await kb.get(f"{path}/runs", OWNER)).json()["total"] == 2
    assert (await kb.http.delete(f"{path}/runs/{runs[1]['id']}", headers=OWNER)).status_code == 204
    assert (await kb.get(f"{path}/runs/{runs[1]['id']}", OWNER)).status_code == 404
    short = await made(kb, item("年假", files=["leave.txt"]))
    assert (await ran(kb, short))["done"] == 1  # the runner goes on with the next one
    assert (await kb.get(f"{path}/runs/{runs[0]['id']}", OWNER)).json()["state"] == "cancelled"


async def test_too_many_runs_at_once_and_empty_sets_are_refused(kb: Kb) -> None:
    path = await made(kb)
    assert (await kb.post(f"{path}/runs", {}, OWNER)).status_code == 409
    await kb.post(f"{path}/items", item("年假", files=["leave.txt"]), OWNER)
    answers = await asyncio.gather(*(kb.post(f"{path}/runs", {}, OWNER) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {202, 409}


async def test_a_run_that_a_stop_interrupts_has_failed_with_a_reason(make_settings: Make) -> None:
    settings = make_settings()
    async with connected(settings) as kb:
        await fill(kb)
        path = await made(kb)
        many = "question,file\n" + "".join(f"年假第{n}问,leave.txt\n" for n in range(300))
        await sent(kb, path, ("file", "set.csv", many.encode()))
        await begun(kb, path, (await kb.post(f"{path}/runs", {}, OWNER)).json())
    assert _states(settings.folder / "kb.db") == ["failed"]
    _claim_again(settings.folder / "kb.db")  # as a kill leaves it
    async with connected(settings) as kb:
        runs = (await kb.get(f"{path}/runs", OWNER)).json()["items"]
        assert [one["state"] for one in runs] == ["failed", "failed"]
        assert all("stopped" in one["reason"] for one in runs)
        assert runs[0]["end_time"] is not None


def _states(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [state for (state,) in database.execute("SELECT state FROM eval_run")]


def _claim_again(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO eval_run (set_id, kb_id, owner_client, label, state, reason, options,"
            " done, total, lease_token, lease_until, create_time) SELECT set_id, kb_id,"
            " owner_client, label, 'running', '', options, 0, 9, 1, 9e12, create_time FROM eval_run"
        )


ROUTES = [
    ("GET", "", None),
    ("POST", "", {"name": "x"}),
    ("GET", "/S", None),
    ("PATCH", "/S", {"name": "x"}),
    ("DELETE", "/S", None),
    ("GET", "/S/items", None),
    ("POST", "/S/items", {"question": "x"}),
    ("GET", "/S/items/export", None),
    ("GET", "/S/items/I", None),
    ("PATCH", "/S/items/I", {"note": "x"}),
    ("DELETE", "/S/items/I", None),
    ("GET", "/S/runs", None),
    ("POST", "/S/runs", {}),
    ("GET", "/S/runs/R", None),
    ("POST", "/S/runs/R/cancel", None),
    ("DELETE", "/S/runs/R", None),
    ("GET", "/S/runs/R/results", None),
    ("GET", "/S/runs/R/compare/R", None),
]


async def _asked(
    kb: Kb, method: str, place: str, body: Any, who: dict[str, str], base: str = "owned"
) -> httpx.Response:
    address = f"{BASES}/{base}/eval-sets{place}"
    return await kb.http.request(method, address, json=body, headers=who)


async def test_only_operators_and_the_owner_client_reach_a_set(kb: Kb) -> None:
    await fill(kb, "owned")
    path = await made(kb, item("年假", files=["leave.txt"]), base="owned")
    number = path.rpartition("/")[2]
    run = (await ran(kb, path))["id"]
    one = (await kb.get(f"{path}/items", OWNER)).json()["items"][0]["id"]
    confined = caller_header("7", ("kb:read", "kb:write"), confined_to=("other",))
    for method, template, body in ROUTES:
        place = template.replace("S", number).replace("I", str(one)).replace("R", str(run))

        asked = partial(_asked, kb, method, place, body)
        nobody = await asked(OWNER, "none")
        assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")
        for who in (STRANGER, confined):
            detail = (await asked(who)).json()["detail"]
            assert detail == nobody.json()["detail"].replace("none", "owned")
        assert (await asked(READER)).status_code == 403
    assert (await kb.get(path, ADMIN)).json()["items"] == 1
    assert (await kb.get(path.replace("owned", "kb1"), OWNER)).status_code == 404
    assert (await kb.http.delete(f"{BASES}/owned", headers=OWNER)).status_code == 204
