"""Recommended questions and statistics through the whole product."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.stack import Stack

pytestmark = pytest.mark.e2e
NAME = "questions-e2e"
QUESTION = "火星基地的氧气从哪里来？"


@pytest.fixture
def operator(stack: Stack) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {stack.admin_key}"}
    with httpx.Client(base_url=f"{stack.url}/api", headers=key, timeout=120) as client:
        yield client


@pytest.fixture
def user(stack: Stack) -> Iterator[httpx.Client]:
    token = httpx.URL(httpx.get(stack.demo_link).headers["Location"]).params["token"]
    headers = {"Api-Token": token}
    with httpx.Client(base_url=f"{stack.url}/api", headers=headers, timeout=60) as client:
        yield client


def _chat(user: httpx.Client, path: str, query: str, **more: Any) -> None:
    body = {"query": query, "stream": True, "knowledge_base_name": NAME} | more
    assert user.post(path, json=body).status_code == 200


def test_a_tap_in_the_page_is_counted_where_it_can_be(
    operator: httpx.Client, user: httpx.Client
) -> None:
    """A chat about a knowledge base tells; free chat does not pass kb_service, a tap route does."""
    made = operator.post("/admin/knowledge-bases", json={"name": NAME, "zh_name": "问题"})
    assert made.status_code == 201, made.text
    question = {"query": QUESTION, "knowledge_base": NAME}
    number = operator.post("/admin/questions", json=question).json()["id"]
    offered = user.get("/recommend/question", params={"num": 1, "kb_name": NAME}).json()["data"]
    assert [one["query"] for one in offered] == [QUESTION]

    def taps() -> int:
        count: int = operator.get(f"/admin/questions/{number}").json()["tap_count"]
        return count

    _chat(user, "/chat/knowledge_base_chat", QUESTION)
    assert taps() == 1
    _chat(user, "/chat/knowledge_base_chat", "别的问题？")
    _chat(user, "/chat/chat", QUESTION)
    assert taps() == 1
    assert user.post(f"/recommend/question/{number}/tap").status_code == 204
    assert taps() == 2
    assert user.get("/admin/questions").status_code == 403

    found = operator.get(f"/admin/knowledge-bases/{NAME}/statistics").json()
    assert (found["searches"], found["misses"], found["files"]) == (2, 2, 0)
    assert {one["query"] for one in found["missed_queries"]} == {QUESTION, "别的问题？"}
    assert operator.delete(f"/admin/knowledge-bases/{NAME}").status_code == 204


def test_texts_are_embedded_where_there_is_a_model(user: httpx.Client) -> None:
    answer = user.post("/other/embed_texts", json={"texts": ["年假"], "embed_model": "bge"})
    assert answer.json() == {
        "code": 500,
        "msg": "指定的模型 bge 不支持 Embeddings 功能。",
        "data": None,
    }
