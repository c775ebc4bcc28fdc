"""Recommended questions: what users are offered, and who may change it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.kb_service.conftest import ADMIN, OWNER, READER, STRANGER, Kb

PATH = "/recommend/question"


async def questions(kb: Kb, who: dict[str, str] = READER, /, **params: Any) -> list[dict[str, Any]]:
    answer = (await kb.get(PATH, who, **({"num": 100} | params))).json()
    assert (answer["code"], answer["msg"]) == (200, "success")
    items: list[dict[str, Any]] = answer["data"]
    return items


async def save(kb: Kb, who: dict[str, str] = ADMIN, **body: Any) -> Any:
    answer = (await kb.post(PATH, body, who)).json()
    assert answer["code"] == 200
    return answer["data"]


async def test_bug_9_inserting_and_changing_work(kb: Kb) -> None:
    await kb.create()
    assert await save(kb, query="怎么请假？") is True
    item = (await questions(kb))[0]
    assert list(item) == [
        *("id", "query", "kb_name", "answer", "tap_count", "enable", "create_time")
    ]
    assert (item["query"], item["kb_name"], item["answer"]) == ("怎么请假？", None, None)
    assert (item["tap_count"], item["enable"]) == (0, True)
    assert len(item["create_time"]) == 19
    assert await save(kb, question_id=str(item["id"]), query="怎么报销？", kb_name="kb1") is True
    assert [(one["query"], one["kb_name"]) for one in await questions(kb)] == [
        ("怎么报销？", "kb1")
    ]
    assert await save(kb, question_id=item["id"] + 1, query="x") is False
    assert await save(kb, question_id=-5, query="x") is False
    assert len(await questions(kb)) == 1


async def test_which_questions_are_offered(kb: Kb) -> None:
    await kb.create("kb1")
    await kb.create("kb2")
    for name in (None, "", "kb1", "kb1", "kb2"):
        await save(kb, query="问", kb_name=name)
    assert len(await questions(kb)) == 5
    assert [one["kb_name"] for one in await questions(kb, kb_name="")] == [None, None]
    assert len(await questions(kb, kb_name="kb1")) == 2
    assert len(await questions(kb, num=3)) == 3
    assert await questions(kb, kb_name="none") == []
    for number in (0, -1, -(10**30)):
        assert await questions(kb, num=number) == []
    assert len(await questions(kb, num=10**30)) == 5


async def test_bug_9_disabled_ones_are_not_offered(kb: Kb, tmp_path: Path) -> None:
    await save(kb, query="停用")
    await save(kb, query="启用")

    def disable() -> None:
        with closing(sqlite3.connect(tmp_path / "kb" / "kb.db")) as database, database:
            database.execute("UPDATE question SET enable = 0 WHERE query = '停用'")

    await asyncio.to_thread(disable)  # the service may be writing too
    assert [one["query"] for one in await questions(kb)] == ["启用"]


async def test_another_clients_question_answers_like_none(kb: Kb) -> None:
    assert await save(kb, OWNER, query="问") is True
    number = (await questions(kb, OWNER))[0]["id"]
    assert await save(kb, STRANGER, question_id=number, query="改") is False
    assert await save(kb, OWNER, question_id=number, query="我改") is True
    assert await save(kb, ADMIN, question_id=number, query="管理员改") is True
    assert [one["query"] for one in await questions(kb, OWNER)] == ["管理员改"]


async def test_free_chats_questions_of_a_client_are_offered_to_its_users_alone(kb: Kb) -> None:
    """Else any client could put words before the users of another."""
    await save(kb, OWNER, query="甲方的问题")
    await save(kb, query="大家的问题")
    for who, offered in ((OWNER, 2), (STRANGER, 1), (READER, 1)):
        for params in ({}, {"kb_name": ""}):
            assert len(await questions(kb, who, **params)) == offered


async def test_bounds(kb: Kb) -> None:
    for body in ({}, {"query": ""}, {"query": "长" * 201}, {"query": "x", "question_id": "abc"}):
        assert (await kb.post(PATH, body)).status_code == 422
    assert (await kb.post(PATH, {"query": "x", "question_id": 10**30})).status_code == 422
    assert (await kb.get(PATH, READER)).status_code == 422
    assert (await kb.get(PATH, READER, num="x")).status_code == 422
