"""/chat/feedback (contract 1.3), and what operators read of it."""

import sqlite3
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.session_service.conftest import Clock, User, UserOf


def _stored(data: Path, turn_id: str) -> tuple[int, str]:
    with closing(sqlite3.connect(data / "session" / "session.db")) as database:
        row = database.execute(
            "SELECT feedback_score, feedback_reason FROM chat_history WHERE id = ?", (turn_id,)
        ).fetchone()
    return row[0], row[1]


async def _rate(user: User, turn_id: str, score: int = 80, reason: str = "clear") -> Any:
    body = {"chat_history_id": turn_id, "score": score, "reason": reason}
    answer = await user.http.post("/chat/feedback", json=body)
    assert answer.status_code == 200
    return answer.json()


async def test_feedback_is_stored(li: User, data: Path, session_id: str) -> None:
    turn = await li.ask("question", "answer", session_id)
    assert _stored(data, turn.id) == (-1, "")
    expected = {"code": 200, "msg": f"已反馈聊天记录 {turn.id}", "data": None}
    assert await _rate(li, turn.id) == expected
    assert _stored(data, turn.id) == (80, "clear")
    await _rate(li, turn.id, 0, "")
    assert _stored(data, turn.id) == (0, "")


@pytest.mark.parametrize("turn_id", ["", "f" * 32, "no such id"])
async def test_an_unknown_id_is_answered_the_same(li: User, turn_id: str) -> None:
    expected = {"code": 200, "msg": f"已反馈聊天记录 {turn_id}", "data": None}
    assert await _rate(li, turn_id) == expected


async def test_another_users_turn_is_answered_the_same_and_keeps_its_feedback(
    li: User, wang: User, data: Path, session_id: str
) -> None:
    turn = await li.ask("question", "answer", session_id)
    await _rate(li, turn.id)
    expected = {"code": 200, "msg": f"已反馈聊天记录 {turn.id}", "data": None}
    assert await _rate(wang, turn.id, 1, "no") == expected
    assert _stored(data, turn.id) == (80, "clear")


async def test_feedback_has_the_contracts_defaults(li: User) -> None:
    answer = await li.http.post("/chat/feedback", json={})
    assert answer.json() == {"code": 200, "msg": "已反馈聊天记录 ", "data": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"score": 101}, "score"),
        ({"score": -1}, "score"),
        ({"score": 10**40}, "score"),
        ({"score": "good"}, "score"),
        ({"score": 0.5}, "score"),
        ({"chat_history_id": "x" * 33}, "chat_history_id"),
        ({"chat_history_id": None}, "chat_history_id"),
        ({"reason": "r" * 4097}, "reason"),
        ({"reason": None}, "reason"),
    ],
)
async def test_feedback_refuses(
    li: User, data: Path, session_id: str, body: dict[str, Any], field: str
) -> None:
    turn = await li.ask("question", "answer", session_id)
    answer = await li.http.post("/chat/feedback", json={"chat_history_id": turn.id} | body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert _stored(data, turn.id) == (-1, "")


LISTING = "/admin/feedback"


@pytest.fixture
def operator(user: UserOf) -> User:
    return user("root", client_id="admin", scopes=("admin",))


async def _listed(operator: User, **params: Any) -> list[str]:
    answer = await operator.http.get(LISTING, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] >= len(answer.json()["items"])
    return [item["question"] for item in answer.json()["items"]]


async def test_operators_read_what_was_rated(
    operator: User, li: User, wang: User, clock: Clock, session_id: str
) -> None:
    await li.ask("nobody rated this", "answer", session_id)
    good = await li.ask("good", "answer", session_id, knowledge_base="manual")
    asked = clock.now
    clock.pass_by(days=1)
    bad = await wang.ask("bad", "wrong", "1" * 32)
    await _rate(wang, bad.id, 10, "wrong year")
    clock.pass_by(hours=1)
    await _rate(li, good.id, 90)
    [first, second] = (await operator.http.get(LISTING)).json()["items"]
    assert (first["question"], first["knowledge_base"], first["score"]) == ("good", "manual", 90)
    assert first["create_time"] == asked.isoformat().replace("+00:00", "Z")
    assert first["feedback_time"] == clock.now.isoformat().replace("+00:00", "Z")
    assert second | {"feedback_time": "", "create_time": ""} == {
        "turn_id": bad.id,
        "client_id": "7",
        "knowledge_base": None,
        "question": "bad",
        "answer": "wrong",
        "docs": [],
        "score": 10,
        "reason": "wrong year",
        "feedback_time": "",
        "create_time": "",
    }
    assert await _listed(operator, max_score=50) == ["bad"]
    assert await _listed(operator, min_score=50) == ["good"]
    assert await _listed(operator, kb="manual") == ["good"]
    local = clock.now.astimezone(timezone(timedelta(hours=8))).isoformat()
    assert await _listed(operator, since=local) == ["good"]
    assert await _listed(operator, until=local) == ["bad"]
    assert await _listed(operator, page=2, page_size=1) == ["bad"]


@pytest.mark.parametrize(("again", "listed"), [("the same", ["the same"]), ("another", [])])
async def test_a_rating_is_of_the_question_that_was_asked(
    operator: User, li: User, session_id: str, again: str, listed: list[str]
) -> None:
    turn = await li.ask("the same", "wrong", session_id, turn_id="a" * 32)
    await _rate(li, turn.id, 10)
    await li.ask(again, "right", session_id, turn_id=turn.id)
    assert await _listed(operator) == listed


@pytest.mark.parametrize(
    "params",
    [
        {"max_score": 101},
        {"since": "2026-01-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+23:59"},
        {"page_size": 201},
    ],
)
async def test_a_senseless_listing_is_refused(operator: User, params: dict[str, Any]) -> None:
    answer = await operator.http.get(LISTING, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_users_do_not_read_what_others_rated(li: User) -> None:
    answer = await li.http.get(LISTING)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
