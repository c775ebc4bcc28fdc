"""/chat/feedback (contract 1.3); what is stored is read in the database, as no route shows it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.session_service.conftest import User


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
