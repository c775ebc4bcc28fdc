"""Many writers at once: exactly one owner, no turn lost, none doubled."""

import asyncio

import pytest

from tests.session_service.conftest import User, UserOf, finish

MANY = 12


@pytest.fixture
def everybody(user: UserOf) -> list[User]:
    return [user(f"user {number}") for number in range(MANY)]


async def test_one_of_many_owners_gets_a_new_session(
    everybody: list[User], session_id: str
) -> None:
    answers = await asyncio.gather(
        *(
            user.try_begin(user.http.headers["X-Chat2LLM-Caller"][-9:], session_id=session_id)
            for user in everybody
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * (MANY - 1)
    seen = [await user.recent(session_id) for user in everybody]
    assert [bool(turns) for turns in seen] == [answer.status_code == 200 for answer in answers]


async def test_one_of_many_owners_gets_a_new_turn_id(everybody: list[User]) -> None:
    answers = await asyncio.gather(*(user.try_begin(turn_id="e" * 32) for user in everybody))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * (MANY - 1)


async def test_saving_and_chatting_race_for_a_session(
    li: User, wang: User, session_id: str
) -> None:
    body = {"session_id": session_id, "session_name": "n", "mode": "LLM", "param": {}}
    saved, begun = await asyncio.gather(
        li.http.post("/session/save", json=body), wang.try_begin(session_id=session_id)
    )
    assert (saved.json()["code"] == 200) != (begun.status_code == 200)


async def test_one_user_asks_the_same_turn_twice_at_once(li: User, session_id: str) -> None:
    turns = await asyncio.gather(
        *(li.begin("question", session_id=session_id, turn_id="e" * 32) for _ in range(MANY))
    )
    assert {turn.id for turn in turns} == {"e" * 32}
    codes = [(await finish(li.http, turn)).status_code for turn in turns]
    assert codes.count(204) == 1  # the last one to begin holds the capability
    assert len(await li.history(session_id)) == 1


async def test_parallel_turns_are_all_kept(li: User, session_id: str) -> None:
    await asyncio.gather(
        *(li.ask(f"question {number}", f"answer {number}", session_id) for number in range(40))
    )
    assert len(await li.all_history(session_id, 7, 7)) == 40
