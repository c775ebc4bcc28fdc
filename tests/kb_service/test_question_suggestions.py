"""Questions that documents answer, from their headings."""

from typing import Any

import pytest

from kb_service.entities import Heading
from kb_service.question_keys import question_key
from kb_service.questions.suggesting import question_of, suggestions
from tests.kb_service.conftest import OWNER, READER, Kb

PATH = "/admin/knowledge-bases/kb1/questions/suggest"


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("年假制度", "年假制度是什么？"),
        ("3.2 年假制度", "年假制度是什么？"),
        ("3.2.1、年假制度：", "年假制度是什么？"),
        ("第三章 年假制度", "年假制度是什么？"),
        ("第 12 条 年假制度", "年假制度是什么？"),
        ("（一）年假制度", "年假制度是什么？"),
        ("一、年假制度", "年假制度是什么？"),
        ("## 年假制度", "年假制度是什么？"),
        ("申请年假", "如何申请年假？"),
        ("4 申请 VPN 账号", "如何申请 VPN 账号？"),
        ("安装", "如何安装？"),
        ("安装步骤", "安装步骤是什么？"),
        ("使用说明", "使用说明是什么？"),
        ("备份和恢复数据", "如何备份和恢复数据？"),
        ("管理办法", "管理办法是什么？"),
        ("怎样快速启动", "怎样快速启动？"),
        ("如何申请年假", "如何申请年假？"),
        ("什么是向量库？", "什么是向量库？"),
        ("年假可以结转吗?", "年假可以结转吗？"),
        ("2024 年度预算", "2024 年度预算是什么？"),
        ("100% 远程办公", "100% 远程办公是什么？"),
        ("三大原则", "三大原则是什么？"),
        ("1概念", "概念是什么？"),
        ("24小时服务", "24小时服务是什么？"),
        ("24 小时服务", "24 小时服务是什么？"),
        ("5G 网络", "5G 网络是什么？"),
        ("Annual leave", "What should I know about Annual leave?"),
        ("3.2 Annual leave", "What should I know about Annual leave?"),
        ("Chapter 4: Travel costs", "What should I know about Travel costs?"),
        ("Install the server", "How do I install the server?"),
        ("Setup", "What should I know about Setup?"),
        ("How to apply", "How to apply?"),
        ("What is new?", "What is new?"),
        ("Chat2LLM", "What should I know about Chat2LLM?"),
        ("Informatique générale", "What should I know about Informatique générale?"),
    ],
)
def test_a_heading_becomes_what_somebody_asks(heading: str, question: str) -> None:
    assert question_of(heading) == question


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "",
            " ",
            "3.2",
            "第三章",
            "目录",
            "1 概述",
            "第一章 总则",
            "附录A",
            "附则",
            "参考文献",
            "——",
        ),
        *("Contents", "1. Introduction", "Appendix B", "12345", "★★★", "年", "x", "长" * 61),
        *("Section 4", "iv.", "问题", "附录 B"),
    ],
)
def test_what_asks_nothing_is_no_question(heading: str) -> None:
    assert question_of(heading) is None


def test_files_take_turns_and_nothing_comes_twice() -> None:
    headings = [
        *(
            Heading("a.md", f"手册 > {name}")
            for name in ("年假制度", "病假制度", "概述", "年假 制度")
        ),
        *(Heading("b.md", name) for name in ("出差标准", "年假制度", "报销流程 > 报销发票")),
    ]
    found = [one.query for one in suggestions(headings, set(), 9)]
    assert found == ["年假制度是什么？", "出差标准是什么？", "病假制度是什么？", "如何报销发票？"]
    assert [one.query for one in suggestions(headings, set(), 2)] == found[:2]
    known = {question_key("出差标准是什么") or ""}
    assert [one.query for one in suggestions(headings, known, 9)] == [found[0], *found[2:]]


MANUAL = """# 员工手册

欢迎。

## 1 休假

### 1.1 年假制度

每年十天。

### 1.2 申请病假

提交证明。

## 2 怎么报销

贴好发票。
""".encode()


async def suggest(kb: Kb, **params: Any) -> list[dict[str, str]]:
    answer = await kb.http.post(PATH, params=params, headers=OWNER)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, str]] = answer.json()["items"]
    return items


async def test_documents_suggest_and_nothing_is_kept_until_accepted(kb: Kb) -> None:
    await kb.create(who=OWNER)
    await kb.uploaded(("手册.md", MANUAL), ("plain.txt", "没有标题。".encode()))
    items = await suggest(kb)
    queries = [item["query"] for item in items]
    assert {"年假制度是什么？", "如何申请病假？", "怎么报销？"} <= set(queries)
    [leave] = [item for item in items if item["query"] == "年假制度是什么？"]
    assert leave["file_name"] == "手册.md"
    assert leave["title"].endswith("1.1 年假制度")
    assert (await kb.get("/admin/questions", OWNER)).json()["total"] == 0
    accepted = {"query": leave["query"], "knowledge_base": "kb1"}
    assert (await kb.post("/admin/questions", accepted, OWNER)).status_code == 201
    assert leave["query"] not in [item["query"] for item in await suggest(kb)]
    assert len(await suggest(kb, number=1)) == 1


async def test_only_what_answers_now_suggests(kb: Kb) -> None:
    await kb.create(who=OWNER)
    await kb.uploaded(("手册.md", MANUAL))
    await kb.uploaded(("手册.md", "# 出差标准\n\n每晚五百元。".encode()), override="true")
    assert [item["query"] for item in await suggest(kb)] == ["出差标准是什么？"]
    body = {"knowledge_base_name": "kb1", "file_names": ["手册.md"]}
    await kb.post("/knowledge_base/delete_docs", body, OWNER)
    assert await suggest(kb) == []


async def test_bounds(kb: Kb) -> None:
    await kb.create(who=OWNER)
    for number in (0, 201, "x"):
        answer = await kb.http.post(PATH, params={"number": number}, headers=OWNER)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert (await kb.http.post(PATH, headers=READER)).status_code == 403
