"""Knowledge bases as such: making, listing, changing, removing, and who may."""

from typing import Any

import httpx
import pytest

from kb_service.names import shown
from tests.kb_service.conftest import OWNER, READER, STRANGER, Kb, caller_header

P = "/knowledge_base"
TEXT = ("a.txt", "员工每年享有十天带薪年假，请在系统中提交申请。".encode())
HOSTILE = [
    *("../x", "a/../b", "/etc/passwd", "a/b", "..", ".", "a\\b", "C:x", "x\0y", "con", "NUL.txt"),
    *("．．／x", "‥", "．．", "a／b", " x", "x ", "x.", "x\ny", "\u202etxt.exe", "好" * 86),
]


def envelope(answer: httpx.Response, code: int, msg: str, data: Any = None) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"code": code, "msg": msg, "data": data}
    assert list(answer.json()) == ["code", "msg", "data"]


async def test_a_new_one_is_listed_with_everything_known_of_it(kb: Kb) -> None:
    envelope(await kb.get(f"{P}/list_knowledge_bases"), 200, "success", [])
    await kb.create("制度库")
    await kb.create("kb2")
    await kb.uploaded(TEXT, kb="kb2")
    envelope(await kb.get(f"{P}/list_knowledge_bases", READER), 200, "success", ["制度库", "kb2"])
    listed = (await kb.get(f"{P}/list_knowledge_bases_v2", READER)).json()["data"]
    assert [item["file_count"] for item in listed] == [0, 1]
    item = listed[0]
    assert list(item) == [
        *("kb_name", "kb_zh_name", "kb_info", "vs_type", "embed_model", "file_count"),
        "create_time",
    ]
    assert (item["kb_name"], item["kb_zh_name"], item["kb_info"]) == ("制度库", "库一", "说明")
    assert len(item["create_time"]) == len("2026-11-22T05:42:39")


async def test_a_name_is_given_once(kb: Kb) -> None:
    await kb.create("kb1")
    body = {"knowledge_base_name": "kb1", "kb_zh_name": "x", "kb_info": "y"}
    for who in (OWNER, STRANGER):
        answer = await kb.post(f"{P}/create_knowledge_base", body, who)
        envelope(answer, 404, "已存在同名知识库 kb1")
    assert (await kb.get(f"{P}/list_knowledge_bases")).json()["data"] == ["kb1"]


async def test_an_empty_name_has_its_own_text(kb: Kb) -> None:
    for name in ("", "  "):
        body = {"knowledge_base_name": name, "kb_zh_name": "x", "kb_info": "y"}
        answer = await kb.post(f"{P}/create_knowledge_base", body)
        envelope(answer, 404, "知识库名称不能为空，请重新填写知识库名称")


async def test_hostile_names_are_refused_everywhere(kb: Kb) -> None:
    for name in HOSTILE:
        await _refused_everywhere(kb, name)
    assert (await kb.get(f"{P}/list_knowledge_bases")).json()["data"] == []


async def _refused_everywhere(kb: Kb, name: str) -> None:
    new = {"knowledge_base_name": name, "kb_zh_name": "x", "kb_info": "y"}
    upload = await kb.upload(TEXT, kb=name) if "\0" not in name else None
    answers = [
        await kb.post(f"{P}/create_knowledge_base", new),
        await kb.post(f"{P}/delete_knowledge_base", name),
        await kb.post(f"{P}/update_info", new),
        await kb.post(f"{P}/update_zh_name", new),
        await kb.post(f"{P}/delete_docs", new | {"file_names": ["a.txt"]}),
        await kb.post(f"{P}/update_docs", new | {"file_names": ["a.txt"]}),
        await kb.post(f"{P}/recreate_vector_store", new),
        *([upload] if upload else []),
        await kb.get(f"{P}/list_files", knowledge_base_name=name),
        await kb.get(f"{P}/download_doc", knowledge_base_name=name, file_name="a.txt"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (200, 403), answer.request.url
        assert answer.json()["msg"] == "Don't attack me"
    assert await kb.search("年假", kb=name) == []


async def test_ordinary_names_are_not(kb: Kb) -> None:
    for name in ("kb1", "制度 2024（试行）", "v1.2", "等等……", "📚", "好" * 85):
        await kb.create(name)
        assert await kb.uploaded(TEXT, kb=name) == {}
        envelope(await kb.post(f"{P}/delete_knowledge_base", name), 200, f"成功删除知识库 {name}")


async def test_what_is_unknown_answers_as_the_contract_says(kb: Kb) -> None:
    named = {"knowledge_base_name": "none"}
    unknown = "未找到知识库 none"
    envelope(await kb.post(f"{P}/delete_knowledge_base", "none"), 404, unknown)
    envelope(await kb.post(f"{P}/update_info", named | {"kb_info": "x"}), 404, unknown)
    envelope(await kb.post(f"{P}/update_zh_name", named | {"kb_zh_name": "x"}), 404, unknown)
    envelope(await kb.post(f"{P}/delete_docs", named | {"file_names": []}), 404, unknown)
    envelope(await kb.post(f"{P}/update_docs", named | {"file_names": []}), 404, unknown)
    envelope(await kb.upload(TEXT, kb="none"), 404, unknown)
    answer = await kb.get(f"{P}/list_files", **named)
    assert (answer.json()["code"], answer.json()["data"]) == (404, [])
    envelope(await kb.get(f"{P}/download_doc", **named, file_name="a.txt"), 404, unknown)
    assert await kb.search("x", kb="none") == []


async def test_information_and_chinese_name_are_changed(kb: Kb) -> None:
    await kb.create()
    answer = await kb.post(f"{P}/update_info", {"knowledge_base_name": "kb1", "kb_info": "新"})
    envelope(answer, 200, "知识库介绍修改完成", {"kb_info": "新"})
    answer = await kb.post(
        f"{P}/update_zh_name", {"knowledge_base_name": "kb1", "kb_zh_name": "二"}
    )
    envelope(answer, 200, "知识库中文名修改完成", {"kb_zh_name": "二"})
    item = (await kb.get(f"{P}/list_knowledge_bases_v2")).json()["data"][0]
    assert (item["kb_info"], item["kb_zh_name"]) == ("新", "二")


async def test_removing_takes_everything_with_it(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    await kb.post("/recommend/question", {"query": "年假几天？", "kb_name": "kb1"})
    envelope(await kb.post(f"{P}/delete_knowledge_base", "kb1"), 200, "成功删除知识库 kb1")
    await kb.create()
    assert await kb.files() == []
    assert await kb.search("年假") == []
    assert (await kb.get("/recommend/question", num=5)).json()["data"] == []


async def test_an_object_instead_of_the_bare_name_is_422(kb: Kb) -> None:
    answer = await kb.post(f"{P}/delete_knowledge_base", {"knowledge_base_name": "kb1"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


async def test_bug_11_an_unknown_vector_store_is_an_answer(kb: Kb) -> None:
    body = {"knowledge_base_name": "k", "kb_zh_name": "x", "kb_info": "y"}
    answer = await kb.post(f"{P}/create_knowledge_base", body | {"vector_store_type": "oracle"})
    envelope(answer, 500, "创建知识库出错： 未知的向量库类型 oracle")
    for number, known in enumerate(("faiss", "milvus", "pg", "es", "default")):
        named = {"knowledge_base_name": f"k{number}", "vector_store_type": known}
        made = await kb.post(
            f"{P}/create_knowledge_base", body | named | {"embed_model": "no-such-model"}
        )
        assert made.json()["code"] == 200


BOUNDS: list[tuple[str, dict[str, Any], str]] = [
    ("create_knowledge_base", {"knowledge_base_name": "x"}, "kb_zh_name"),
    ("create_knowledge_base", {"knowledge_base_name": 5}, "knowledge_base_name"),
    ("update_info", {"knowledge_base_name": "x"}, "kb_info"),
    ("update_zh_name", {"knowledge_base_name": "x", "kb_zh_name": "长" * 256}, "kb_zh_name"),
    ("search_docs", {"query": "x"}, "knowledge_base_name"),
    ("search_docs", {"query": "x", "knowledge_base_name": "k", "top_k": -1}, "top_k"),
    ("search_docs", {"query": "长" * 10_001, "knowledge_base_name": "k"}, "query"),
    (
        "search_docs",
        {"query": "x", "knowledge_base_name": "k", "score_threshold": 2.1},
        "score_threshold",
    ),
    ("delete_docs", {"knowledge_base_name": "k", "file_names": "a.txt"}, "file_names"),
    ("update_docs", {"knowledge_base_name": "k", "file_names": [], "docs": {}}, "docs"),
    (
        "recreate_vector_store",
        {"knowledge_base_name": "k", "chunk_size": 0},
        "chunk_size",
    ),
]


async def test_bounds_are_422_with_the_place(kb: Kb) -> None:
    for path, body, field in BOUNDS:
        answer = await kb.post(f"{P}/{path}", body)
        assert answer.status_code == 422
        assert ["body", field] in [item["loc"] for item in answer.json()["detail"]]
        assert all(set(item) >= {"loc", "msg", "type"} for item in answer.json()["detail"])


@pytest.mark.parametrize(
    ("route", "field"),
    [
        ("search_docs", '"query": "\\ud800"'),
        ("update_docs", '"file_names": ["\\ud800"]'),
        ("delete_docs", '"file_names": ["\\ud800"]'),
    ],
)
async def test_a_lone_surrogate_is_422_and_nothing_breaks(kb: Kb, route: str, field: str) -> None:
    answer = await kb.http.post(
        f"{P}/{route}",
        content=f'{{{field}, "knowledge_base_name": "kb1"}}',
        headers={"content-type": "application/json"} | OWNER,
    )
    assert answer.status_code == 422


async def test_bad_json_has_the_contracts_shape(kb: Kb) -> None:
    answer = await kb.http.post(
        f"{P}/search_docs", content=b"{", headers={"content-type": "application/json"} | OWNER
    )
    assert answer.status_code == 422
    detail = answer.json()["detail"][0]
    assert (detail["type"], detail["loc"][0], detail["msg"]) == (
        *("json_invalid", "body"),
        "JSON decode error",
    )


ROUTES = [
    ("GET", f"{P}/list_knowledge_bases"),
    ("GET", f"{P}/list_knowledge_bases_v2"),
    ("POST", f"{P}/create_knowledge_base"),
    ("POST", f"{P}/delete_knowledge_base"),
    ("POST", f"{P}/update_info"),
    ("POST", f"{P}/update_zh_name"),
    ("GET", f"{P}/list_files"),
    ("POST", f"{P}/search_docs"),
    ("POST", f"{P}/upload_docs"),
    ("POST", f"{P}/delete_docs"),
    ("POST", f"{P}/update_docs"),
    ("GET", f"{P}/download_doc"),
    ("POST", f"{P}/recreate_vector_store"),
    ("GET", "/recommend/question"),
    ("POST", "/recommend/question"),
    ("GET", "/internal/knowledge_bases/kb1"),
    ("POST", "/internal/search"),
    ("GET", "/admin/knowledge-bases"),
    ("GET", "/admin/knowledge-bases/kb1/visibility"),
    ("PUT", "/admin/knowledge-bases/kb1/visibility"),
    ("POST", "/admin/knowledge-bases"),
    ("GET", "/admin/knowledge-bases/kb1"),
    ("PATCH", "/admin/knowledge-bases/kb1"),
    ("DELETE", "/admin/knowledge-bases/kb1"),
    ("GET", "/admin/knowledge-bases/kb1/files"),
    ("GET", "/admin/knowledge-bases/kb1/statistics"),
    ("POST", "/admin/knowledge-bases/kb1/questions/suggest"),
    ("GET", "/admin/questions"),
    ("POST", "/admin/questions"),
    ("POST", "/admin/questions/import"),
    ("GET", "/admin/questions/1"),
    ("PATCH", "/admin/questions/1"),
    ("DELETE", "/admin/questions/1"),
    ("POST", "/recommend/question/1/tap"),
    ("POST", "/other/embed_texts"),
]


async def test_nobody_comes_in_without_a_signed_caller_and_its_scope(kb: Kb) -> None:
    forged = {name: value[:-4] + "AAAA" for name, value in OWNER.items()}
    scopeless = caller_header("0", ("chat",))
    for who, status in (({}, 401), (forged, 401), (scopeless, 403)):
        for method, path in ROUTES:
            answer = await kb.http.request(method, path, headers=who)
            assert answer.status_code == status, path
            assert answer.headers["content-type"].endswith("json")


async def test_a_reader_may_not_write(kb: Kb) -> None:
    await kb.create(who=OWNER)
    await kb.upload(TEXT, who=OWNER)
    assert await kb.files() == ["a.txt"]
    named = {"knowledge_base_name": "kb1"}
    for answer in (
        await kb.post(f"{P}/delete_knowledge_base", "kb1", READER),
        await kb.upload(TEXT, who=READER),
        await kb.post(f"{P}/delete_docs", named | {"file_names": ["a.txt"]}, READER),
        await kb.post("/recommend/question", {"query": "x"}, READER),
    ):
        assert answer.status_code == 403
    found = await kb.post(f"{P}/search_docs", named | {"query": "年假"}, READER)
    assert len(found.json()) == 1


async def test_another_clients_knowledge_base_cannot_be_written(kb: Kb) -> None:
    """It answers exactly like one that is not there."""
    await kb.create(who=OWNER)
    await kb.upload(TEXT, who=OWNER)
    named = {"knowledge_base_name": "kb1"}
    unknown = "未找到知识库 kb1"
    envelope(await kb.post(f"{P}/delete_knowledge_base", "kb1", STRANGER), 404, unknown)
    envelope(await kb.post(f"{P}/update_info", named | {"kb_info": "x"}, STRANGER), 404, unknown)
    envelope(await kb.upload(TEXT, who=STRANGER), 404, unknown)
    deletion = named | {"file_names": ["a.txt"], "delete_content": True}
    envelope(await kb.post(f"{P}/delete_docs", deletion, STRANGER), 404, unknown)
    stream = await kb.post(f"{P}/recreate_vector_store", named, STRANGER)
    assert stream.json() == {"code": 404, "msg": "未找到知识库 ‘kb1’"}
    assert await kb.files() == ["a.txt"]
    envelope(await kb.post(f"{P}/delete_knowledge_base", "kb1", OWNER), 200, "成功删除知识库 kb1")


async def test_internal_routes_answer_with_true_statuses(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(TEXT)
    found = await kb.get("/internal/knowledge_bases/kb1", READER)
    assert found.json() == {"knowledge_base_name": "kb1", "kb_zh_name": "库一"}
    missing = await kb.get("/internal/knowledge_bases/none", READER)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.json()["detail"] == "未找到知识库 none"
    body = {"knowledge_base_name": "kb1", "query": "年假", "top_k": 3, "score_threshold": 1}
    passages = (await kb.post("/internal/search", body, READER)).json()["passages"]
    assert set(passages[0]) == {"chunk_id", "file_name", "content", "score", "metadata"}
    assert passages[0]["file_name"] == "a.txt"
    body["knowledge_base_name"] = "none"
    assert (await kb.post("/internal/search", body, READER)).status_code == 404


def test_shown_names_cannot_act_on_a_log_or_a_page() -> None:
    assert shown("a\nb\0\u202e") == "a\\nb\\x00\\u202e"
    assert shown("好" * 300) == "好" * 120 + "…"
    assert shown("a b.txt") == "a b.txt"
