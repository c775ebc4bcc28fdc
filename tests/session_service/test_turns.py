"""Begin and finish: what is stored when, under which id, and who may answer (design 5.1)."""

import re
from typing import Any

import pytest

from tests.session_service.conftest import Clock, Turn, User, finish


async def test_the_question_is_stored_before_the_answer(li: User, session_id: str) -> None:
    turn = await li.begin("年假有几天", session_id=session_id)
    [stored] = await li.recent(session_id)
    assert re.fullmatch("[0-9a-f]{32}", turn.id)
    assert (stored["turn_id"], stored["query"], stored["state"]) == (
        turn.id,
        "年假有几天",
        "asking",
    )


@pytest.mark.parametrize("state", ["done", "failed", "interrupted"])
async def test_finish_stores_the_answer(li: User, session_id: str, state: str) -> None:
    turn = await li.begin(session_id=session_id)
    answer = await finish(li.http, turn, "十天 😀", docs=["出处"], state=state)
    assert (answer.status_code, answer.content) == (204, b"")
    [stored] = await li.recent(session_id)
    assert (stored["response"], stored["docs"], stored["state"]) == ("十天 😀", ["出处"], state)


@pytest.mark.parametrize("turn_id", [None, ""])
async def test_no_id_means_a_new_one(li: User, session_id: str, turn_id: str | None) -> None:
    first = await li.ask("same", "answer", session_id, turn_id=turn_id)
    second = await li.ask("same", "answer", session_id, turn_id=turn_id)
    assert first.id != second.id
    assert len(await li.history(session_id)) == 2


async def test_a_turn_needs_no_session(li: User) -> None:
    turn = await li.begin(session_id=None)
    assert (await finish(li.http, turn)).status_code == 204


async def test_a_known_own_id_is_asked_again(li: User, session_id: str) -> None:
    first = await li.ask("question", "old answer", session_id)
    await li.ask("another", "answer", session_id)
    again = await li.begin("question", session_id=session_id, turn_id=first.id)
    assert again.id == first.id
    stored = (await li.recent(session_id))[0]
    assert (stored["response"], stored["state"]) == ("old answer", "asking")
    await finish(li.http, again, "new answer")
    page = await li.history(session_id)
    assert [item["response"] for item in page] == ["answer", "new answer"]


async def test_an_id_the_client_made_regenerates_the_newest_turn(li: User, session_id: str) -> None:
    await li.ask("question", "old answer", session_id)
    again = await li.ask("question", "new answer", session_id, turn_id="c" * 32)
    [stored] = await li.history(session_id)
    assert (stored["id"], stored["response"]) == (again.id, "new answer")
    assert again.id != "c" * 32


async def test_an_unknown_id_with_another_question_is_inserted(li: User, session_id: str) -> None:
    await li.ask("question", "answer", session_id)
    turn = await li.ask("another question", "answer", session_id, turn_id="c" * 32)
    assert turn.id == "c" * 32
    assert len(await li.history(session_id)) == 2


async def test_only_the_newest_turn_is_regenerated_by_its_question(
    li: User, session_id: str
) -> None:
    await li.ask("question", "answer", session_id)
    await li.ask("another question", "answer", session_id)
    turn = await li.ask("question", "answer", session_id, turn_id="c" * 32)
    assert turn.id == "c" * 32
    assert len(await li.history(session_id)) == 3


async def test_an_unknown_id_without_a_session_is_inserted(li: User) -> None:
    await li.begin("question", turn_id="b" * 32)
    assert (await li.begin("question", turn_id="c" * 32)).id == "c" * 32


async def test_a_changed_question_does_not_keep_the_old_answer(li: User, session_id: str) -> None:
    turn = await li.begin("question", session_id=session_id)
    await finish(li.http, turn, "answer", docs=["source"])
    await li.begin("changed", session_id=session_id, turn_id=turn.id)
    [stored] = await li.recent(session_id)
    assert (stored["query"], stored["response"], stored["docs"]) == ("changed", "", [])


async def test_the_same_finish_twice_is_one(li: User, session_id: str) -> None:
    turn = await li.begin(session_id=session_id)
    for _ in range(2):
        assert (await finish(li.http, turn, "answer", docs=["a"])).status_code == 204
    assert [item["response"] for item in await li.history(session_id)] == ["answer"]


async def test_the_same_finish_is_accepted_at_any_later_time(
    li: User, clock: Clock, session_id: str
) -> None:
    # The first 204 was lost on the way, and an outbox sends it again.
    turn = await li.ask("question", "answer", session_id)
    clock.pass_by(days=3)
    assert (await finish(li.http, turn, "answer")).status_code == 204


async def test_a_better_answer_replaces_an_interrupted_one(li: User, session_id: str) -> None:
    turn = await li.begin(session_id=session_id)
    await finish(li.http, turn, "half", state="interrupted")
    await finish(li.http, turn, "half and the rest", state="done")
    [stored] = await li.recent(session_id)
    assert (stored["response"], stored["state"]) == ("half and the rest", "done")


async def test_a_late_checkpoint_does_not_replace_the_answer(li: User, session_id: str) -> None:
    turn = await li.begin(session_id=session_id)
    await finish(li.http, turn, "half and the rest", state="done")
    assert (await finish(li.http, turn, "half", state="interrupted")).status_code == 204
    [stored] = await li.recent(session_id)
    assert (stored["response"], stored["state"]) == ("half and the rest", "done")


async def test_a_capability_lives_an_hour_after_its_turn_is_answered(
    li: User, clock: Clock, session_id: str
) -> None:
    turn = await li.ask("question", "answer", session_id)
    clock.pass_by(minutes=59)
    assert (await finish(li.http, turn, "second")).status_code == 204
    clock.pass_by(minutes=1)
    assert (await finish(li.http, turn, "third")).status_code == 404
    assert (await li.history(session_id))[0]["response"] == "second"


async def test_a_capability_lives_seven_days_while_its_turn_waits(
    li: User, clock: Clock, session_id: str
) -> None:
    turn, late = await li.begin(session_id=session_id), await li.begin(session_id=session_id)
    clock.pass_by(days=6, hours=23)
    assert (await finish(li.http, turn, "from the outbox")).status_code == 204
    clock.pass_by(hours=1)
    assert (await finish(li.http, late, "too late")).status_code == 404


async def test_a_turn_without_an_answer_is_interrupted_after_a_while(
    li: User, clock: Clock, session_id: str
) -> None:
    turn = await li.begin(session_id=session_id)
    clock.pass_by(minutes=14, seconds=59)
    assert (await li.recent(session_id))[0]["state"] == "asking"
    clock.pass_by(seconds=1)
    assert (await li.recent(session_id))[0]["state"] == "interrupted"
    assert (await finish(li.http, turn, "after all")).status_code == 204
    assert (await li.recent(session_id))[0]["state"] == "done"


async def test_asking_again_ends_the_earlier_capability(li: User, session_id: str) -> None:
    old = await li.begin(session_id=session_id)
    new = await li.begin(session_id=session_id, turn_id=old.id)
    assert (await finish(li.http, old, "of the stream that was left")).status_code == 404
    assert (await finish(li.http, new, "of the new stream")).status_code == 204
    assert (await li.history(session_id))[0]["response"] == "of the new stream"


async def test_a_deleted_turn_takes_no_answer(li: User, session_id: str) -> None:
    turn = await li.begin(session_id=session_id)
    await li.post("/session/delete", session_id)
    assert (await finish(li.http, turn)).status_code == 404
    assert await li.history(session_id) == []


async def test_a_capability_opens_its_own_turn_only(li: User, session_id: str) -> None:
    one, two = await li.begin(session_id=session_id), await li.begin(session_id=session_id)
    for turn in (
        Turn(one.id, two.capability),
        Turn(one.id, "guessed"),
        Turn(one.id, one.capability[:-1]),
        Turn("f" * 32, one.capability),
    ):
        answer = await finish(li.http, turn)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
    assert [turn["state"] for turn in await li.recent(session_id)] == ["asking", "asking"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi"])
async def test_finish_needs_a_capability(li: User, header: str | None) -> None:
    turn = await li.begin()
    answer = await li.http.post(
        f"/internal/turns/{turn.id}/finish",
        json={"response": "r", "docs": [], "state": "done"},
        headers={} if header is None else {"Authorization": header},
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"session_id": "short"}, "session_id"),
        ({"session_id": "s" * 33}, "session_id"),
        ({"session_id": ""}, "session_id"),
        ({"turn_id": "t" * 33}, "turn_id"),
        ({"turn_id": "../finish"}, "turn_id"),
        ({"turn_id": "a b"}, "turn_id"),
        ({"turn_id": "abc\n"}, "turn_id"),
        ({"turn_id": 5}, "turn_id"),
        ({"chat_type": "agent_chat"}, "chat_type"),
        ({"chat_type": None}, "chat_type"),
        ({"query": None}, "query"),
        ({"query": ["a"]}, "query"),
    ],
)
async def test_begin_refuses(li: User, body: dict[str, Any], field: str) -> None:
    answer = await li.http.post(
        "/internal/turns", json={"chat_type": "llm_chat", "query": "q"} | body
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"response": None}, "response"),
        ({"docs": None}, "docs"),
        ({"docs": "one"}, "docs"),
        ({"docs": [None]}, "docs"),
        ({"state": "asking"}, "state"),
        ({"state": "finished"}, "state"),
    ],
)
async def test_finish_refuses(li: User, session_id: str, body: dict[str, Any], field: str) -> None:
    turn = await li.begin(session_id=session_id)
    answer = await li.http.post(
        f"/internal/turns/{turn.id}/finish",
        json={"response": "r", "docs": [], "state": "done"} | body,
        headers={"Authorization": f"Bearer {turn.capability}"},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][:2] == ["body", field]
    assert (await li.recent(session_id))[0]["state"] == "asking"


async def test_long_and_strange_texts_come_back_whole(li: User, session_id: str) -> None:
    query, response = "问" * 50_000, "{% raw %} }{ <b>'; DROP TABLE chat_history; -- 😀\n" * 4_000
    turn = await li.begin(query, session_id=session_id)
    await finish(li.http, turn, response, docs=[response])
    [stored] = await li.history(session_id)
    assert stored["query"] == query
    assert stored["response"] == response
    assert stored["docs"] == [response]


async def test_nul_is_dropped_because_postgresql_cannot_hold_it(li: User, session_id: str) -> None:
    turn = await li.begin("a\x00b", session_id=session_id)
    await finish(li.http, turn, "c\x00d", docs=["e\x00f"])
    [stored] = await li.history(session_id)
    assert (stored["query"], stored["response"], stored["docs"]) == ("ab", "cd", ["ef"])
