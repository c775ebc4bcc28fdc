"""Who sees which knowledge base: every route, every kind of caller, one table."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, event

from kb_service import models
from kb_service.app import create_app
from kb_service.entities import KnowledgeBase, Visibility
from kb_service.settings import KbSettings
from kb_service.store import KnowledgeBaseStore
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import ADMIN, OWNER, Kb, caller_header, connected

JOBS, QUESTIONS, NO_ID = "/admin/jobs", "/admin/questions", "987654"
HIDDEN, NOBODY = "hidden", "nobody"  # of one length, so that the answers' headers are equal too
TEXT = ("a.txt", "员工每年享有十天带薪年假，请在系统中提交申请。".encode())
FULL = ("chat", "kb:read", "kb:write")
P, PATH = "/knowledge_base", "/admin/knowledge-bases"
FILE = f"{PATH}/{{kb_name}}/files/{{file_name}}"
SOURCES = f"{PATH}/{{kb_name}}/sources"
ALL = {"visibility": "all", "clients": [], "groups": []}
CLIENT_2 = {"visibility": "clients", "clients": ["2"], "groups": []}
SALES_OF_2 = {"visibility": "groups", "clients": ["2"], "groups": ["board", "sales"]}
NONE_BUT_OURS = {"visibility": "clients", "clients": [], "groups": []}

Request = Callable[[Kb, str, dict[str, str]], Awaitable[httpx.Response]]


def _get(path: str, name_key: str, **more: Any) -> Request:
    return lambda kb, name, who: kb.get(path, who, **{name_key: name}, **more)


def _post(path: str, name_key: str = "knowledge_base_name", **more: Any) -> Request:
    return lambda kb, name, who: kb.post(path, {name_key: name} | more, who)


def _of_base(method: str, path: str = "", **more: Any) -> Request:
    return lambda kb, name, who: kb.http.request(
        method, f"{PATH}/{name}{path}", headers=who, **more
    )


def _of_question(method: str, path: str = QUESTIONS, end: str = "", **more: Any) -> Request:
    return lambda kb, number, who: kb.http.request(
        method, f"{path}/{number}{end}", headers=who, **more
    )


def _of_job(method: str, path: str) -> Request:
    return lambda kb, job, who: kb.http.request(method, f"{JOBS}/{job}{path}", headers=who)


async def _put_visibility(kb: Kb, name: str, who: dict[str, str]) -> httpx.Response:
    return await kb.http.put(f"{PATH}/{name}/visibility", json=ALL, headers=who)


EVALUATION: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "", {}),
    ("POST", "", {"json": {"name": "新"}}),
    ("GET", "/{set_id}", {}),
    ("PATCH", "/{set_id}", {"json": {"name": "新"}}),
    ("GET", "/{set_id}/items", {}),
    ("POST", "/{set_id}/items", {"json": {"question": "新"}}),
    ("POST", "/{set_id}/items/import", {"files": {"file": ("a.csv", b"question\nnew")}}),
    ("GET", "/{set_id}/items/export", {}),
    ("GET", "/{set_id}/items/{item_id}", {}),
    ("PATCH", "/{set_id}/items/{item_id}", {"json": {"note": "新"}}),
    ("DELETE", "/{set_id}/items/{item_id}", {}),
    ("GET", "/{set_id}/runs", {}),
    ("POST", "/{set_id}/runs", {"json": {}}),
    ("GET", "/{set_id}/runs/{run_id}", {}),
    ("GET", "/{set_id}/runs/{run_id}/results", {}),
    ("GET", "/{set_id}/runs/{run_id}/compare/{other_id}", {}),
    ("POST", "/{set_id}/runs/{run_id}/cancel", {}),
    ("DELETE", "/{set_id}/runs/{run_id}", {}),
    ("DELETE", "/{set_id}", {}),
)
READS: dict[str, Request] = {
    "GET /knowledge_base/list_files": _get(f"{P}/list_files", "knowledge_base_name"),
    "GET /knowledge_base/download_doc": _get(
        f"{P}/download_doc", "knowledge_base_name", file_name="a.txt"
    ),
    "POST /knowledge_base/search_docs": _post(f"{P}/search_docs", query="年假"),
    "GET /recommend/question": _get("/recommend/question", "kb_name", num=5),
    "GET /internal/knowledge_bases/{kb_name}": lambda kb, name, who: kb.get(
        f"/internal/knowledge_bases/{name}", who
    ),
    "POST /internal/search": _post("/internal/search", query="年假"),
    "POST /internal/read": _post("/internal/read", file_name="a.txt"),
}
WRITES: dict[str, Request] = {
    "POST /knowledge_base/update_info": _post(f"{P}/update_info", kb_info="新"),
    "POST /knowledge_base/update_zh_name": _post(f"{P}/update_zh_name", kb_zh_name="新"),
    "POST /knowledge_base/upload_docs": lambda kb, name, who: kb.upload(
        ("b.txt", b"new"), kb=name, who=who
    ),
    "POST /knowledge_base/update_docs": _post(f"{P}/update_docs", file_names=["a.txt"]),
    "POST /knowledge_base/recreate_vector_store": _post(f"{P}/recreate_vector_store"),
    "POST /recommend/question": _post("/recommend/question", "kb_name", query="新问题"),
    "GET /admin/knowledge-bases/{kb_name}": _of_base("GET"),
    "PATCH /admin/knowledge-bases/{kb_name}": _of_base("PATCH", json={"info": "新"}),
    "GET /admin/knowledge-bases/{kb_name}/files": _of_base("GET", "/files"),
    "GET /admin/knowledge-bases/{kb_name}/statistics": _of_base("GET", "/statistics"),
    "GET /admin/knowledge-bases/{kb_name}/embedding": _of_base("GET", "/embedding"),
    "POST /admin/knowledge-bases/{kb_name}/questions/suggest": _of_base(
        "POST", "/questions/suggest"
    ),
    "GET /admin/questions (of one)": _get(QUESTIONS, "kb"),
    "POST /admin/questions": _post(QUESTIONS, "knowledge_base", query="再问？"),
    "POST /admin/questions/import": lambda kb, name, who: kb.http.post(
        f"{QUESTIONS}/import",
        data={"kb": name},
        files={"file": ("q.jsonl", b'{"question": "?"}')},
        headers=who,
    ),
    "GET /admin/knowledge-bases/{kb_name}/visibility": lambda kb, name, who: kb.get(
        f"{PATH}/{name}/visibility", who
    ),
    "POST /admin/knowledge-bases/{kb_name}/files": lambda kb, name, who: kb.http.post(
        f"{PATH}/{name}/files", files=[("files", ("c.txt", b"new"))], headers=who
    ),
    "GET /admin/knowledge-bases/{kb_name}/chunking": _of_base("GET", "/chunking"),
    "PUT /admin/knowledge-bases/{kb_name}/chunking": _of_base(
        "PUT", "/chunking", json={"splitter": "qa"}
    ),
    "POST /admin/knowledge-bases/{kb_name}/preview": _of_base(
        "POST", "/preview", files={"file": ("c.txt", b"new")}
    ),
    f"POST {FILE}/preview": _of_base("POST", "/files/a.txt/preview", json={}),
    f"POST {FILE}/split": _of_base("POST", "/files/a.txt/split", json={}),
    f"GET {FILE}/chunks": _of_base("GET", "/files/a.txt/chunks"),
    f"POST {FILE}/chunks": _of_base("POST", "/files/a.txt/chunks", json={"content": "新"}),
    f"PATCH {FILE}/chunks/{{chunk_id}}": _of_base(
        "PATCH", "/files/a.txt/chunks/e1", json={"content": "新"}
    ),
    f"GET {FILE}/chunks/{{chunk_id}}/history": _of_base("GET", "/files/a.txt/chunks/e1/history"),
    f"POST {FILE}/chunks/{{chunk_id}}/restore": _of_base(
        "POST", "/files/a.txt/chunks/e1/restore", json={"number": 1}
    ),
    f"DELETE {FILE}/chunks/{{chunk_id}}": _of_base("DELETE", "/files/a.txt/chunks/e1"),
    "POST /admin/knowledge-bases/{kb_name}/files/known": _of_base(
        "POST", "/files/known", json={"files": []}
    ),
    f"GET {SOURCES}": _of_base("GET", "/sources"),
    f"POST {SOURCES}": _of_base(
        "POST", "/sources", json={"kind": "page", "url": "http://127.0.0.1/"}
    ),
    f"GET {SOURCES}/{{source_id}}": _of_base("GET", "/sources/1"),
    f"PATCH {SOURCES}/{{source_id}}": _of_base("PATCH", "/sources/1", json={"pages_max": 9}),
    f"DELETE {SOURCES}/{{source_id}}": _of_base("DELETE", "/sources/1"),
    f"POST {SOURCES}/{{source_id}}/run": _of_base("POST", "/sources/1/run"),
    f"GET {SOURCES}/{{source_id}}/pages": _of_base("GET", "/sources/1/pages"),
    "GET /admin/jobs (of one)": _get(JOBS, "kb"),
    "GET /admin/knowledge-bases/{kb_name}/tags": _of_base("GET", "/tags"),
    f"PUT {FILE}/tags": _of_base("PUT", "/files/a.txt/tags", json={"tags": ["新"]}),
    "POST /admin/knowledge-bases/{kb_name}/search": _of_base(
        "POST", "/search", json={"query": "年假"}
    ),
    **{
        f"{method} {PATH}/{{kb_name}}/eval-sets{template}": _of_base(
            method, "/eval-sets" + re.sub(r"{\w+}", "1", template), **more
        )
        for method, template, more in EVALUATION
    },
    "POST /knowledge_base/delete_docs": _post(f"{P}/delete_docs", file_names=["a.txt"]),
    "PUT /admin/knowledge-bases/{kb_name}/visibility": _put_visibility,
    # The last ones: they leave nothing for the others, and the second answers as for nobody.
    "POST /knowledge_base/delete_knowledge_base": lambda kb, name, who: kb.post(
        f"{P}/delete_knowledge_base", name, who
    ),
}
LISTS: dict[str, Request] = {
    "GET /knowledge_base/list_knowledge_bases": lambda kb, _, who: kb.get(
        f"{P}/list_knowledge_bases", who
    ),
    "GET /knowledge_base/list_knowledge_bases_v2": lambda kb, _, who: kb.get(
        f"{P}/list_knowledge_bases_v2", who
    ),
    "GET /recommend/question (all)": lambda kb, _, who: kb.get("/recommend/question", who, num=99),
}
BY_JOB: dict[str, Request] = {
    "GET /admin/jobs/{job_id}": _of_job("GET", ""),
    "GET /admin/jobs/{job_id}/events": _of_job("GET", "/events"),
    "POST /admin/jobs/{job_id}/cancel": _of_job("POST", "/cancel"),
    "POST /admin/jobs/{job_id}/retry": _of_job("POST", "/retry"),
}
SEEN_BY_QUESTION = {
    "POST /recommend/question/{question_id}/tap": _of_question(
        "POST", "/recommend/question", "/tap"
    ),
}
BY_QUESTION: dict[str, Request] = {
    "GET /admin/questions/{question_id}": _of_question("GET"),
    "PATCH /admin/questions/{question_id}": _of_question("PATCH", json={"answer": "十天"}),
    "DELETE /admin/questions/{question_id}": _of_question("DELETE"),
}
# These have tests of their own below, or say nothing of knowledge bases.
OTHERS = {
    *("POST /knowledge_base/create_knowledge_base", "GET /admin/knowledge-bases"),
    *("POST /admin/knowledge-bases", "DELETE /admin/knowledge-bases/{kb_name}"),
    *("GET /admin/embedders", "POST /v1/embeddings"),
    "POST /other/embed_texts",
    *("GET /livez", "GET /readyz"),
}

Case = tuple[dict[str, Any], dict[str, str], bool, bool]
STRANGER = caller_header("8", FULL)
CASES: dict[str, Case] = {
    # visibility, caller, sees, writes
    "all, a stranger": (ALL, STRANGER, True, False),
    "all, the owner": (ALL, OWNER, True, True),
    "all, an operator": (ALL, ADMIN, True, True),
    "clients, a stranger": (CLIENT_2, STRANGER, False, False),
    "clients, a chosen one": (CLIENT_2, caller_header("2", FULL), True, False),
    "clients, one with a similar id": (CLIENT_2, caller_header("22", FULL), False, False),
    "clients, the owner": (CLIENT_2, OWNER, True, True),
    "clients, an operator": (CLIENT_2, ADMIN, True, True),
    "nobody but ours, a chosen one no more": (
        NONE_BUT_OURS,
        caller_header("2", FULL),
        False,
        False,
    ),
    "nobody but ours, the owner": (NONE_BUT_OURS, OWNER, True, True),
    "groups, without a group": (SALES_OF_2, caller_header("2", FULL), False, False),
    "groups, in another group": (
        *(SALES_OF_2, caller_header("2", FULL, groups=("salesmen", "Sales")), False, False),
    ),
    "groups, in the group": (
        *(SALES_OF_2, caller_header("2", FULL, groups=("x", "board")), True, False),
    ),
    "groups, another client's group of that name": (
        *(SALES_OF_2, caller_header("8", FULL, groups=("sales",)), False, False),
    ),
    "groups, the owner's user without one": (SALES_OF_2, OWNER, True, True),
    "all, confined to another": (
        *(ALL, caller_header("8", FULL, confined_to=("other",)), False, False),
    ),
    "all, confined to nothing": (ALL, caller_header("8", FULL, confined_to=()), False, False),
    "all, confined to it": (
        *(ALL, caller_header("8", FULL, confined_to=("other", HIDDEN)), True, False),
    ),
    "clients, a stranger confined to it": (
        *(CLIENT_2, caller_header("8", FULL, confined_to=(HIDDEN,)), False, False),
    ),
    "all, the owner confined to another": (
        *(ALL, caller_header("7", FULL, confined_to=("other",)), False, False),
    ),
    "clients, the owner confined to it": (
        *(CLIENT_2, caller_header("7", FULL, confined_to=(HIDDEN,)), True, True),
    ),
    "all, an operator confined to another": (
        *(ALL, caller_header(confined_to=("other",)), False, False),
    ),
    "clients, an operator confined to it": (
        *(CLIENT_2, caller_header(confined_to=(HIDDEN,)), True, True),
    ),
}


async def show_to(kb: Kb, visibility: dict[str, Any], name: str = HIDDEN) -> None:
    answer = await kb.http.put(f"{PATH}/{name}/visibility", json=visibility, headers=OWNER)
    assert (answer.status_code, answer.json()) == (200, visibility)


async def fill(kb: Kb, visibility: dict[str, Any]) -> None:
    """Client 7's knowledge base with a file and a question."""
    await kb.create(HIDDEN, OWNER)
    await kb.uploaded(TEXT, kb=HIDDEN)
    await kb.post("/recommend/question", {"query": "年假几天？", "kb_name": HIDDEN}, OWNER)
    await show_to(kb, visibility)


async def test_every_route_has_its_place_in_the_table(make_settings: Any) -> None:
    paths = create_app(make_settings()).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    named = {*READS, *WRITES, *LISTS, *BY_JOB, *SEEN_BY_QUESTION, *BY_QUESTION, *OTHERS}
    assert routes == {name.partition(" (")[0] for name in named}


async def test_what_is_not_theirs_answers_like_what_is_not_there(kb: Kb) -> None:
    """Status, headers and body, on every route; no list has it, and nothing comes of trying."""
    for case, (visibility, who, sees, writes) in CASES.items():
        if not (await kb.get(PATH, OWNER)).json()["total"]:  # whoever writes has deleted it
            await fill(kb, visibility)
        await show_to(kb, visibility)
        before = await _state(kb)
        await _check_lists(kb, who, case, sees=sees, writes=writes)
        await _check_routes(kb, who, case, sees=sees, writes=writes)
        if not writes:
            assert await _state(kb) == before, case


async def _check_lists(kb: Kb, who: dict[str, str], case: str, *, sees: bool, writes: bool) -> None:
    for route, request in LISTS.items():
        assert (HIDDEN in (await request(kb, "", who)).text) is sees, (case, route)
    for path in (PATH, JOBS, QUESTIONS):
        page = (await kb.get(path, who)).json()
        assert page["total"] == len(page["items"]) == writes, (case, path)


async def _check_routes(
    kb: Kb, who: dict[str, str], case: str, *, sees: bool, writes: bool
) -> None:
    same_id = who | {"X-Request-ID": "the-same-for-both"}
    [job] = (await kb.get(JOBS, OWNER)).json()["items"]
    [question] = (await kb.get(QUESTIONS, OWNER)).json()["items"]
    for routes, allowed, names in (
        (READS, sees, (NOBODY, HIDDEN)),
        (BY_JOB, writes, (NO_ID, str(job["id"]))),
        (SEEN_BY_QUESTION, sees, (NO_ID, str(question["id"]))),
        (BY_QUESTION, writes, (NO_ID, str(question["id"]))),
        (WRITES, writes, (NOBODY, HIDDEN)),
    ):
        for route, request in routes.items():
            unknown, answer = [await request(kb, name, same_id) for name in names]
            what = (case, route, answer.text, unknown.text)
            assert _is_equal(answer, unknown) is not allowed, what


def _is_equal(answer: httpx.Response, unknown: httpx.Response) -> bool:
    """But for the name that was asked for."""
    heads = [(one.status_code, one.headers.raw) for one in (answer, unknown)]
    content = answer.content.replace(HIDDEN.encode(), NOBODY.encode())
    return heads[0] == heads[1] and content == unknown.content


async def _state(kb: Kb) -> list[Any]:
    """Everything that the owner knows of it."""
    return [
        (await kb.get(f"{P}/list_knowledge_bases_v2", OWNER)).json(),
        [
            question | {"tap_count": None}
            for question in (await kb.get(QUESTIONS, OWNER)).json()["items"]
        ],
        (await kb.get(JOBS, OWNER)).json(),
        (await kb.get(f"{PATH}/{HIDDEN}/visibility", OWNER)).json(),
        await kb.files(HIDDEN),
        await kb.search("年假", HIDDEN),
    ]


async def test_a_question_of_a_hidden_one_is_in_no_list_and_free_chats_are(kb: Kb) -> None:
    await fill(kb, CLIENT_2)
    await kb.post("/recommend/question", {"query": "你好？"})
    for who in (STRANGER, caller_header("8", FULL, confined_to=("other",))):
        offered = (await kb.get("/recommend/question", who, num=99)).json()["data"]
        assert [question["query"] for question in offered] == ["你好？"]
    offered = (await kb.get("/recommend/question", OWNER, num=99)).json()["data"]
    assert {question["query"] for question in offered} == {"你好？", "年假几天？"}


async def test_a_change_counts_from_the_next_request_on(kb: Kb) -> None:
    await fill(kb, ALL)
    search = READS["POST /internal/search"]
    for visibility, status in ((CLIENT_2, 404), (ALL, 200), (NONE_BUT_OURS, 404), (ALL, 200)):
        await show_to(kb, visibility)
        assert (await search(kb, HIDDEN, STRANGER)).status_code == status


async def test_what_was_chosen_outlives_the_process(
    make_settings: Callable[..., KbSettings],
) -> None:
    settings = make_settings()
    async with connected(settings) as kb:
        await fill(kb, SALES_OF_2)
    async with connected(settings) as kb:
        answer = await kb.get(f"{PATH}/{HIDDEN}/visibility", OWNER)
        assert answer.json() == SALES_OF_2
        assert (await READS["POST /internal/search"](kb, HIDDEN, STRANGER)).status_code == 404


def test_knowledge_bases_of_the_first_schema_stay_visible_to_all(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "kb.db")
    config = Config()
    config.set_main_option("script_location", str(Path(models.__file__).parent / "migrations"))
    config.attributes["url"] = url
    command.upgrade(config, "0001_first")
    with closing(sqlite3.connect(tmp_path / "kb.db")) as database, database:
        columns = "kb_name, kb_zh_name, kb_info, vs_type, embed_model, owner_client, create_time"
        row = ("old", "旧", "", "qdrant", "lexical", "7", "2026-01-01 00:00:00.000000")
        database.execute(
            f"INSERT INTO knowledge_base ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        )
    command.upgrade(config, "head")

    async def found() -> list[KnowledgeBase]:
        database = Database(url, package="kb_service")
        rows = await KnowledgeBaseStore(database).all()
        await database.close()
        return rows

    assert [(kb.name, kb.visibility) for kb in asyncio.run(found())] == [("old", Visibility())]


async def test_changes_at_the_same_time_do_not_undo_each_other(kb: Kb) -> None:
    await fill(kb, ALL)
    for round_number in range(5):
        hide, show = (CLIENT_2, ALL) if round_number % 2 else (NONE_BUT_OURS, SALES_OF_2)
        named = {"knowledge_base_name": HIDDEN}
        await show_to(kb, show)
        await asyncio.gather(
            *(kb.post(f"{P}/update_info", named | {"kb_info": f"{n}"}, OWNER) for n in range(4)),
            show_to(kb, hide),
            *(kb.post(f"{P}/update_zh_name", named | {"kb_zh_name": "x"}, OWNER) for _ in range(4)),
        )
        assert (await kb.get(f"{PATH}/{HIDDEN}/visibility", OWNER)).json() == hide


async def test_a_confined_caller_makes_only_what_it_is_confined_to(kb: Kb) -> None:
    """The answer is the same whether the name is taken or not."""
    await fill(kb, NONE_BUT_OURS)
    confined = caller_header("8", FULL, confined_to=("mine", HIDDEN))
    body = {"kb_zh_name": "x", "kb_info": "y"}

    async def create(name: str, who: dict[str, str]) -> Any:
        named = body | {"knowledge_base_name": name}
        return (await kb.post(f"{P}/create_knowledge_base", named, who)).json()

    outside = caller_header("8", FULL, confined_to=("mine",))
    assert await create(HIDDEN, outside) == await create(NOBODY, outside)
    assert (await create(NOBODY, outside))["code"] == 403
    assert (await create("mine", outside))["msg"] == "已新增知识库 mine"
    # Names are given once: whoever may make one learns that it is taken, and nothing else.
    assert (await create(HIDDEN, confined))["msg"] == f"已存在同名知识库 {HIDDEN}"
    assert (await kb.get(PATH, confined)).json()["total"] == 1


async def test_a_confined_key_writes_questions_of_its_own_only(kb: Kb) -> None:
    await fill(kb, ALL)
    await kb.create("other", OWNER)
    path, confined = "/recommend/question", caller_header("7", FULL, confined_to=("other",))
    await kb.post(path, {"query": "问", "kb_name": "other"}, OWNER)
    numbers = {
        question["kb_name"]: question["id"]
        for question in (await kb.get(path, OWNER, num=9)).json()["data"]
    }

    async def save(**body: Any) -> Any:
        answer = (await kb.post(path, body, confined)).json()
        return answer["code"], answer["data"]

    assert await save(query="改", kb_name="other", question_id=numbers["other"]) == (200, True)
    assert await save(query="改", kb_name="other", question_id=numbers[HIDDEN]) == (200, False)
    assert await save(query="改", kb_name=HIDDEN, question_id=numbers["other"]) == (404, None)
    assert await save(query="首页") == (403, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"visibility": "nobody"},
        {"visibility": "all", "clients": ["2"]},
        {"visibility": "all", "groups": ["sales"]},
        {"visibility": "clients", "clients": ["2"], "groups": ["sales"]},
        {"visibility": "groups", "groups": ["sales"]},
        {"visibility": "groups", "clients": ["2"]},
        {"visibility": "clients", "clients": [""]},
        {"visibility": "clients", "clients": ["x" * 65]},
        {"visibility": "clients", "clients": [2]},
        {"visibility": "clients", "clients": "2"},
        {"visibility": "clients", "clients": ["2"] * 1_001},
        {"visibility": "groups", "clients": ["2"], "groups": ["x" * 65]},
    ],
)
async def test_what_says_two_things_changes_nothing(kb: Kb, body: dict[str, Any]) -> None:
    await kb.create(HIDDEN, OWNER)
    await show_to(kb, CLIENT_2)
    answer = await kb.http.put(f"{PATH}/{HIDDEN}/visibility", json=body, headers=OWNER)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], bool(answer.json()["errors"])) == ("invalid", True)
    assert (await kb.get(f"{PATH}/{HIDDEN}/visibility", OWNER)).json() == CLIENT_2


async def test_the_list_of_operators_has_pages(kb: Kb) -> None:
    for number in range(5):
        await kb.create(f"kb{number}", OWNER if number % 2 else ADMIN)
    page = (await kb.get(PATH, page=2, page_size=2)).json()
    assert (page["total"], page["page"], page["page_size"]) == (5, 2, 2)
    assert [item["name"] for item in page["items"]] == ["kb2", "kb3"]
    assert page["items"][1].items() >= {"name": "kb3", "owner_client": "7", **ALL}.items()
    assert (await kb.get(PATH, page=9)).json()["items"] == []
    assert [item["name"] for item in (await kb.get(PATH, OWNER)).json()["items"]] == ["kb1", "kb3"]
    for wrong in ({"page": 0}, {"page_size": 0}, {"page_size": 201}, {"page": "x"}):
        assert (await kb.get(PATH, **wrong)).status_code == 422


async def test_errors_are_problem_details(kb: Kb) -> None:
    answer = await kb.get(f"{PATH}/none/visibility")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("request_id") == answer.headers["x-request-id"]
    assert problem == {
        "type": "about:blank",
        "title": "not_found",
        "status": 404,
        "detail": "未找到知识库 none",
        "code": "not_found",
    }
    assert answer.status_code == 404
    hostile = await kb.get(f"{PATH}/%2e%2e%5cx/visibility")
    assert (hostile.status_code, hostile.json()["code"]) == (403, "refused")
    reader = await kb.get(f"{PATH}/none/visibility", caller_header("7", ("kb:read",)))
    assert (reader.status_code, reader.json()["code"]) == (403, "forbidden")


async def test_a_search_asks_no_database_who_may_see(kb: Kb) -> None:
    await fill(kb, SALES_OF_2)
    sales = caller_header("2", FULL, groups=("sales",))
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for who in (sales, STRANGER, OWNER, ADMIN):
            for route in ("POST /knowledge_base/search_docs", "POST /internal/search"):
                await READS[route](kb, HIDDEN, who)
            await READS["GET /internal/knowledge_bases/{kb_name}"](kb, HIDDEN, who)
        assert statements == []
        await kb.files(HIDDEN)
        assert statements, "this test sees no statement at all"
    finally:
        event.remove(Engine, "before_cursor_execute", note)
