"""Another tenant's id, in the path and in the body, answers like one that nobody has.

Each route of the gateway's table has its line here: what it is asked with, or that it takes no id
of a tenant's. A new route without a line fails.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.routing import ROUTES, Route
from tests.security.conftest import Fortress

Ask = Callable[[str], dict[str, object]]


def _session(name: str) -> Ask:
    return lambda session_id: {"json": {name: session_id, "num": 5, "query": "?", "stream": True}}


def _in_body(**more: object) -> Ask:
    return lambda kb: {"json": {"knowledge_base_name": kb} | more}


def _in_query(**more: str) -> Ask:
    return lambda kb: {"params": {"knowledge_base_name": kb} | more}


SESSIONS: dict[tuple[str, str], Ask] = {
    ("POST", "/history/latest"): _session("session_id"),
}
TURNS: dict[tuple[str, str], Ask] = {
    ("POST", "/chat/feedback"): lambda turn: {"json": {"chat_history_id": turn, "score": 1}},
}
OWNED: dict[tuple[str, str], Ask] = {  # an unknown id would become the caller's: refused instead
    ("POST", "/session/delete"): lambda session_id: {"json": session_id},
    ("POST", "/session/save"): lambda session_id: {
        "json": {"session_id": session_id, "session_name": "mine", "mode": "LLM", "param": {}}
    },
    ("POST", "/chat/chat"): _session("session_id"),
}
KNOWLEDGE_BASES: dict[tuple[str, str], Ask] = {
    ("GET", "/knowledge_base/list_files"): _in_query(),
    ("GET", "/knowledge_base/download_doc"): _in_query(file_name="plan.txt"),
    ("POST", "/knowledge_base/search_docs"): _in_body(query="the plan"),
    ("POST", "/chat/knowledge_base_chat"): _in_body(query="the plan", stream=True),
    ("POST", "/v1/chat/completions"): lambda kb: {
        "json": {"model": f"kb:{kb}", "messages": [{"role": "user", "content": "the plan"}]}
    },
    ("POST", "/mcp"): lambda kb: {
        "json": {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "search", "arguments": {"knowledge_base": kb, "query": "the plan"}},
        },
        "headers": {"Accept": "application/json, text/event-stream"},
    },
    ("GET", "/recommend/question"): lambda kb: {"params": {"num": 9, "kb_name": kb}},
    ("POST", "/knowledge_base/delete_knowledge_base"): lambda kb: {"json": kb},
    ("POST", "/knowledge_base/update_info"): _in_body(kb_info="mine"),
    ("POST", "/knowledge_base/update_zh_name"): _in_body(kb_zh_name="mine"),
    ("POST", "/knowledge_base/upload_docs"): lambda kb: {
        "data": {"knowledge_base_name": kb},
        "files": {"files": ("plan.txt", b"another plan")},
    },
    ("POST", "/knowledge_base/update_docs"): _in_body(file_names=["plan.txt"]),
    ("POST", "/knowledge_base/delete_docs"): _in_body(file_names=["plan.txt"]),
    ("POST", "/knowledge_base/recreate_vector_store"): _in_body(allow_empty_kb=False),
}
_SOURCES = "/admin/knowledge-bases/{kb_name}/sources"
_PAGE: dict[str, object] = {"kind": "page", "url": "https://example.com/"}
_FILE = "/admin/knowledge-bases/{kb_name}/files/{file_name:path}"
IN_PATH: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/admin/knowledge-bases/{kb_name}"): {},
    ("PATCH", "/admin/knowledge-bases/{kb_name}"): {"json": {"info": "mine"}},
    ("DELETE", "/admin/knowledge-bases/{kb_name}"): {},
    ("GET", "/admin/knowledge-bases/{kb_name}/files"): {},
    ("GET", "/admin/knowledge-bases/{kb_name}/statistics"): {},
    ("POST", "/admin/knowledge-bases/{kb_name}/questions/suggest"): {},
    ("GET", "/admin/knowledge-bases/{kb_name}/visibility"): {},
    ("PUT", "/admin/knowledge-bases/{kb_name}/visibility"): {"json": {"visibility": "all"}},
    ("POST", "/admin/knowledge-bases/{kb_name}/files"): {"files": {"files": ("a.txt", b"mine")}},
    ("GET", "/admin/knowledge-bases/{kb_name}/chunking"): {},
    ("PUT", "/admin/knowledge-bases/{kb_name}/chunking"): {"json": {"splitter": "qa"}},
    ("POST", "/admin/knowledge-bases/{kb_name}/preview"): {
        "files": {"file": ("plan.txt", b"mine")}
    },
    ("POST", f"{_FILE}/preview"): {"json": {}},
    ("POST", f"{_FILE}/split"): {"json": {}},
    ("GET", f"{_FILE}/chunks"): {},
    ("POST", f"{_FILE}/chunks"): {"json": {"content": "mine"}},
    ("PATCH", f"{_FILE}/chunks/{{chunk_id}}"): {"json": {"content": "mine"}},
    ("DELETE", f"{_FILE}/chunks/{{chunk_id}}"): {},
    ("GET", f"{_FILE}/chunks/{{chunk_id}}/history"): {},
    ("POST", f"{_FILE}/chunks/{{chunk_id}}/restore"): {"json": {"number": 1}},
    ("POST", "/admin/knowledge-bases/{kb_name}/files/known"): {"json": {"files": []}},
    ("GET", "/admin/knowledge-bases/{kb_name}/tags"): {},
    ("POST", "/admin/knowledge-bases/{kb_name}/search"): {"json": {"query": "leave"}},
    ("GET", "/admin/knowledge-bases/{kb_name}/embedding"): {},
    ("PUT", f"{_FILE}/tags"): {"json": {"tags": ["mine"]}},
    ("GET", _SOURCES): {},
    ("POST", _SOURCES): {"json": _PAGE},
    ("GET", f"{_SOURCES}/{{source_id}}"): {},
    ("PATCH", f"{_SOURCES}/{{source_id}}"): {"json": {"pages_max": 9}},
    ("DELETE", f"{_SOURCES}/{{source_id}}"): {},
    ("POST", f"{_SOURCES}/{{source_id}}/run"): {},
    ("GET", f"{_SOURCES}/{{source_id}}/pages"): {},
}
_SETS = "/admin/knowledge-bases/{kb_name}/eval-sets"
_SET, _RUN = f"{_SETS}/{{set_id}}", f"{_SETS}/{{set_id}}/runs/{{run_id}}"
IN_PATH |= {
    ("GET", _SETS): {},
    ("POST", _SETS): {"json": {"name": "mine"}},
    ("GET", _SET): {},
    ("PATCH", _SET): {"json": {"name": "mine"}},
    ("DELETE", _SET): {},
    ("GET", f"{_SET}/items"): {},
    ("POST", f"{_SET}/items"): {"json": {"question": "mine"}},
    ("POST", f"{_SET}/items/import"): {"files": {"file": ("a.csv", b"question\nmine")}},
    ("GET", f"{_SET}/items/export"): {},
    ("GET", f"{_SET}/items/{{item_id}}"): {},
    ("PATCH", f"{_SET}/items/{{item_id}}"): {"json": {"note": "mine"}},
    ("DELETE", f"{_SET}/items/{{item_id}}"): {},
    ("GET", f"{_SET}/runs"): {},
    ("POST", f"{_SET}/runs"): {"json": {}},
    ("GET", _RUN): {},
    ("DELETE", _RUN): {},
    ("POST", f"{_RUN}/cancel"): {},
    ("GET", f"{_RUN}/results"): {},
    ("GET", f"{_RUN}/compare/{{other_id}}"): {},
}
WITHOUT = {
    ("GET", "/user/info"),
    ("GET", "/session/list"),
    ("GET", "/knowledge_base/list_knowledge_bases"),
    ("GET", "/knowledge_base/list_knowledge_bases_v2"),
    ("POST", "/knowledge_base/create_knowledge_base"),  # names are everybody's: taken is taken
    # Of a number, or of a name in the query; kb_service's own tests have the owner's check.
    ("GET", "/admin/jobs"),
    ("GET", "/admin/jobs/{job_id}"),
    ("GET", "/admin/jobs/{job_id}/events"),
    ("POST", "/admin/jobs/{job_id}/cancel"),
    ("POST", "/admin/jobs/{job_id}/retry"),
    ("POST", "/other/embed_texts"),
    ("POST", "/v1/embeddings"),
    ("GET", "/admin/embedders"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model:path}"),  # asks kb_service as /v1/chat/completions does
    ("GET", "/admin/knowledge-bases"),
    ("POST", "/admin/knowledge-bases"),
    # Of a number, or in a form; kb_service's own tests have the owner's check.
    ("POST", "/recommend/question"),
    ("POST", "/recommend/question/{question_id}/tap"),
    ("GET", "/admin/questions"),
    ("POST", "/admin/questions"),
    ("POST", "/admin/questions/import"),
    ("GET", "/admin/questions/{question_id}"),
    ("PATCH", "/admin/questions/{question_id}"),
    ("DELETE", "/admin/questions/{question_id}"),
    ("POST", "/chat/search_engine_chat"),
    ("POST", "/chat/agent_chat"),  # its tools read with the caller's own rights
    ("POST", "/chat/fastchat"),
    ("POST", "/other/completion"),
    ("POST", "/server/list_search_engines"),
    ("POST", "/llm_model/list_running_models"),
    ("POST", "/llm_model/list_config_models"),
    ("POST", "/llm_model/get_model_config"),
    ("POST", "/server/configs"),
    ("POST", "/server/get_prompt_template"),
    ("POST", "/auth/logout"),
    ("POST", "/admin/logout"),
    ("GET", "/admin/me"),
}


def _key(route: Route) -> tuple[str, str]:
    return route.method, route.path


def test_every_route_has_its_line() -> None:
    named = {*SESSIONS, *TURNS, *OWNED, *KNOWLEDGE_BASES, *IN_PATH, *WITHOUT}
    asked = {_key(route) for route in ROUTES if not route.public and route.scope != "admin"}
    assert named == asked


@dataclass(frozen=True, slots=True)
class Tenants:
    """What Alice's company has, and Mallory of another one, who knows every id of it."""

    session_id: str
    turn_id: str
    kb: str
    mallory: httpx.Client
    alice: httpx.Client


@pytest.fixture(scope="module")
def tenants(fortress: Fortress) -> Iterator[Tenants]:
    hers, his = fortress.client("Alice's"), fortress.client("Mallory's")
    scopes = ("chat", "kb:read", "kb:write")
    _, alice_key = fortress.api_key(*scopes, client_id=int(hers.id))
    _, mallory_key = fortress.api_key(*scopes, client_id=int(his.id))
    with (
        httpx.Client(base_url=fortress.url, headers=_bearer(alice_key), timeout=30) as alice,
        httpx.Client(base_url=fortress.url, headers=_bearer(mallory_key), timeout=30) as mallory,
    ):
        yield _tenants(alice, mallory, hers.id)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _tenants(alice: httpx.Client, mallory: httpx.Client, her_client: str) -> Tenants:
    name = "secret"
    new = {"knowledge_base_name": name, "kb_zh_name": "机密", "kb_info": ""}
    assert alice.post("/knowledge_base/create_knowledge_base", json=new).json()["code"] == 200
    only_hers = {"visibility": "clients", "clients": [her_client], "groups": []}
    seen_by = alice.put(f"/admin/knowledge-bases/{name}/visibility", json=only_hers)
    assert seen_by.status_code == 200, seen_by.text
    upload = alice.post(
        "/knowledge_base/upload_docs",
        data={"knowledge_base_name": name},
        files={"files": ("plan.txt", "the plan: 收购天王星")},
    )
    assert upload.json()["data"]["failed_files"] == {}
    session_id = uuid.uuid4().hex
    alice.post("/chat/chat", json={"session_id": session_id, "query": "hello"})
    turns = alice.post("/history/latest", json={"session_id": session_id, "num": 1}).json()
    return Tenants(session_id, turns["data"][0]["id"], name, mallory, alice)


def _same_as_unknown(
    tenants: Tenants, route: tuple[str, str], ask: Ask, known: str, unknown: str
) -> None:
    method, path = route
    theirs = tenants.mallory.request(method, path, **ask(known))  # type: ignore[arg-type]  # keywords as a test says
    nobodys = tenants.mallory.request(method, path, **ask(unknown))  # type: ignore[arg-type]  # the same
    assert theirs.status_code == nobodys.status_code
    assert theirs.text.replace(known, "ID") == nobodys.text.replace(unknown, "ID")
    assert "天王星" not in theirs.text


@pytest.mark.parametrize("route", SESSIONS, ids=" ".join)
def test_another_tenants_session(tenants: Tenants, route: tuple[str, str]) -> None:
    unknown = uuid.uuid4().hex
    _same_as_unknown(tenants, route, SESSIONS[route], tenants.session_id, unknown)


@pytest.mark.parametrize("route", TURNS, ids=" ".join)
def test_another_tenants_turn(tenants: Tenants, route: tuple[str, str]) -> None:
    _same_as_unknown(tenants, route, TURNS[route], tenants.turn_id, uuid.uuid4().hex)


@pytest.mark.parametrize("route", OWNED, ids=" ".join)
def test_a_foreign_session_is_refused_and_stays(tenants: Tenants, route: tuple[str, str]) -> None:
    method, path = route
    answer = tenants.mallory.request(method, path, **OWNED[route](tenants.session_id))  # type: ignore[arg-type]  # keywords as a test says
    assert "无权操作" in answer.text
    assert "hello" not in answer.text
    kept = tenants.alice.post("/history/latest", json={"session_id": tenants.session_id, "num": 9})
    assert [turn["query"] for turn in kept.json()["data"]] == ["hello"]


@pytest.mark.parametrize("route", KNOWLEDGE_BASES, ids=" ".join)
def test_another_tenants_knowledge_base(tenants: Tenants, route: tuple[str, str]) -> None:
    _same_as_unknown(tenants, route, KNOWLEDGE_BASES[route], tenants.kb, "nobody")
    found = tenants.alice.post(
        "/knowledge_base/search_docs", json={"knowledge_base_name": tenants.kb, "query": "收购"}
    )
    assert "天王星" in found.text


@pytest.mark.parametrize("route", IN_PATH, ids=" ".join)
def test_another_tenants_knowledge_base_in_the_path(
    tenants: Tenants, route: tuple[str, str]
) -> None:
    def asked(name: str) -> tuple[int, str]:
        path = route[1].replace("{kb_name}", name).replace("{source_id}", "1")
        path = path.replace("{file_name:path}", "plan.txt").replace("{chunk_id}", "e1")
        path = re.sub(r"{\w+_id}", "1", path)
        answer = tenants.mallory.request(route[0], path, **IN_PATH[route])
        return answer.status_code, answer.json()["detail"].replace(name, "ID")

    assert asked(tenants.kb) == asked("nobody")
    assert asked(tenants.kb)[0] == 404


def test_lists_name_nothing_of_another_tenants(tenants: Tenants) -> None:
    for path in ("list_knowledge_bases", "list_knowledge_bases_v2"):
        assert tenants.kb not in tenants.mallory.get(f"/knowledge_base/{path}").text
        assert tenants.kb in tenants.alice.get(f"/knowledge_base/{path}").text
    assert tenants.session_id not in tenants.mallory.get("/session/list").text
