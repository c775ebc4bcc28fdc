"""/history/latest (contract 1.1, 6.2) and the recent turns that other services read."""

import os
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.session_service.conftest import Clock, User, finish


@pytest.fixture
def in_shanghai() -> Iterator[None]:
    """A server whose local time is eight hours ahead."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CST-8"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


async def _ask_many(user: User, session_id: str, count: int) -> list[str]:
    """Ids, oldest first."""
    return [
        (await user.ask(f"question {number}", f"answer {number}", session_id)).id
        for number in range(count)
    ]


async def test_turns_come_newest_first(li: User, session_id: str) -> None:
    ids = await _ask_many(li, session_id, 4)
    page = await li.history(session_id, 2)
    assert [item["id"] for item in page] == ids[:1:-1]
    assert [item["response"] for item in page] == ["answer 3", "answer 2"]


@pytest.mark.usefixtures("in_shanghai")
async def test_times_are_the_servers_local_ones(li: User, session_id: str) -> None:
    await li.save(session_id)
    await li.ask("a question", "an answer", session_id)
    shown = [*await li.sessions(), *await li.history(session_id), *await li.recent(session_id)]
    assert [item["create_time"] for item in shown] == ["2026-03-01T20:30:15"] * 3


async def test_a_turn_is_shown_with_the_contracts_fields(li: User, session_id: str) -> None:
    turn = await li.begin("年假？", session_id=session_id, chat_type="knowledge_base_chat")
    await finish(li.http, turn, "十天", docs=["出处 [1] [a.md](/x) \n\n年假十天\n\n"])
    [item] = await li.history(session_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", item.pop("create_time"))
    assert item == {
        "id": turn.id,
        "query": "年假？",
        "response": "十天",
        "docs": ["出处 [1] [a.md](/x) \n\n年假十天\n\n"],
    }


async def test_a_turn_without_an_answer_has_an_empty_one(li: User, session_id: str) -> None:
    # null in either place stops the H5.
    await li.begin(session_id=session_id)
    [item] = await li.history(session_id)
    assert (item["response"], item["docs"]) == ("", [])


@pytest.mark.parametrize("pass_by", [0.0, 0.000_001, 0.001, 1.0])
async def test_load_more_shows_every_turn_once(
    li: User, clock: Clock, session_id: str, pass_by: float
) -> None:
    ids = []
    for number in range(11):
        ids.append((await li.ask(f"question {number}", "answer", session_id)).id)
        clock.pass_by(seconds=pass_by)
    assert await li.all_history(session_id, 2, 5) == ids[::-1]


async def test_load_more_is_steady_while_turns_arrive(li: User, session_id: str) -> None:
    ids = await _ask_many(li, session_id, 4)
    shown = [item["id"] for item in await li.history(session_id, 2)]
    await li.ask("one more", "answer", session_id)
    shown += [item["id"] for item in await li.history(session_id, 5, chat_id=shown[-1])]
    assert shown == ids[::-1]


async def test_a_clock_set_back_does_not_reorder(li: User, clock: Clock, session_id: str) -> None:
    first = await li.ask("before", "answer", session_id)
    clock.pass_by(hours=-2)
    second = await li.ask("after", "answer", session_id)
    assert [item["id"] for item in await li.history(session_id)] == [second.id, first.id]
    assert [i["id"] for i in await li.history(session_id, chat_id=second.id)] == [first.id]


@pytest.mark.parametrize("chat_id", ["", "nobody-knows", "f" * 32, "x" * 500, "'; --"])
async def test_an_unknown_chat_id_gives_an_empty_page(
    li: User, session_id: str, chat_id: str
) -> None:
    await _ask_many(li, session_id, 2)
    assert await li.history(session_id, chat_id=chat_id) == []


async def test_a_null_chat_id_gives_the_newest(li: User, session_id: str) -> None:
    await _ask_many(li, session_id, 2)
    assert len(await li.history(session_id, chat_id=None)) == 2


@pytest.mark.parametrize("session_id", ["", "short", "s" * 400])
async def test_any_unknown_session_has_no_turns(li: User, session_id: str) -> None:
    assert await li.history(session_id) == []


async def test_num_is_bounded(li: User, session_id: str) -> None:
    for number in range(103):
        await li.begin(f"question {number}", session_id=session_id)
    for num, shown in ((0, 0), (1, 1), (100, 100), (101, 100), (10**30, 100)):
        assert len(await li.history(session_id, num)) == shown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"session_id": "s"}, "num"),
        ({"session_id": "s", "num": -1}, "num"),
        ({"session_id": "s", "num": "many"}, "num"),
        ({"session_id": "s", "num": 1.5}, "num"),
        ({"session_id": "s", "num": None}, "num"),
        ({"num": 1}, "session_id"),
        ({"session_id": None, "num": 1}, "session_id"),
        ({"session_id": "s", "num": 1, "chat_id": 7}, "chat_id"),
    ],
)
async def test_latest_refuses(li: User, body: dict[str, Any], field: str) -> None:
    answer = await li.http.post("/history/latest", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


async def test_recent_turns_come_oldest_first(li: User, session_id: str) -> None:
    ids = await _ask_many(li, session_id, 5)
    recent = await li.recent(session_id, limit=3)
    assert [turn["turn_id"] for turn in recent] == ids[2:]
    assert set(recent[0]) == {"turn_id", "query", "response", "docs", "state", "create_time"}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "all", ""])
async def test_recent_refuses(li: User, session_id: str, limit: str) -> None:
    answer = await li.http.get(f"/internal/sessions/{session_id}/turns", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid"


async def test_recent_turns_of_an_unknown_session(li: User, session_id: str) -> None:
    assert await li.recent(session_id) == []


async def test_a_session_id_may_hold_anything(li: User) -> None:
    session_id = "a/b?c#d%2e e.. 问".ljust(32, "x")
    await li.ask("question", "answer", session_id)
    answer = await li.http.get(f"/internal/sessions/{quote(session_id, safe='')}/turns")
    assert [turn["response"] for turn in answer.json()] == ["answer"]
