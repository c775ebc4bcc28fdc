"""The old server's bugs that this service must not have, by their numbers in contract 7 and 5."""

import json

from tests.session_service.conftest import Clock, User, finish


async def test_bug_5_answers_longer_than_4096_are_stored(li: User, session_id: str) -> None:
    await li.ask("q" * 5_000, "答" * 20_000, session_id)
    [stored] = await li.history(session_id)
    assert (len(stored["query"]), len(stored["response"])) == (5_000, 20_000)


async def test_bug_6_saving_again_updates(li: User, session_id: str) -> None:
    await li.save(session_id, session_name="old", mode="LLM", param={"top_k": 3})
    [before] = await li.sessions()
    await li.save(session_id, session_name="new", mode="Knowledge", param={"top_k": 9})
    [after] = await li.sessions()
    assert (after["session_name"], after["mode"]) == ("new", "Knowledge")
    assert json.loads(after["param"])["top_k"] == 9
    assert after["create_time"] == before["create_time"]


async def test_bug_6_saving_another_users_session_is_refused(
    li: User, wang: User, session_id: str
) -> None:
    await li.save(session_id, session_name="of li")
    body = {"session_id": session_id, "session_name": "of wang", "mode": "LLM", "param": {}}
    answer = await wang.http.post("/session/save", json=body)
    assert answer.json() == {"code": 403, "msg": "无权操作!", "data": None}
    assert (await li.sessions())[0]["session_name"] == "of li"


async def test_bug_6_param_may_be_omitted(li: User, session_id: str) -> None:
    body = {"session_id": session_id, "session_name": "n", "mode": "LLM"}
    assert await li.post("/session/save", body) is True
    stored = json.loads((await li.sessions())[0]["param"])
    assert stored == {
        "model_name": "zhipu-api",
        "query": "",
        "stream": True,
        "temperature": 0.7,
        "max_tokens": 2000,
        "prompt_name": "default",
        "history_count": 5,
        "knowledge_base_name": "",
        "top_k": 3,
        "score_threshold": 1,
        "split_result": False,
    }


async def test_bug_6_score_threshold_is_not_cut_to_an_integer(li: User, session_id: str) -> None:
    await li.save(session_id, param={"score_threshold": 0.7})
    assert json.loads((await li.sessions())[0]["param"])["score_threshold"] == 0.7


async def test_bug_7_deleting_another_users_session_is_403_not_500(
    li: User, wang: User, session_id: str
) -> None:
    await li.save(session_id)
    answer = await wang.http.post("/session/delete", json=session_id)
    assert answer.status_code == 200
    assert answer.json() == {"code": 403, "msg": "无权操作!", "data": None}
    assert len(await li.sessions()) == 1


async def test_bug_8_deleting_a_session_deletes_its_turns(li: User, session_id: str) -> None:
    await li.save(session_id)
    await li.ask("question", "answer", session_id)
    await li.post("/session/delete", session_id)
    assert await li.history(session_id) == []
    assert await li.sessions() == []


async def test_bug_12_turns_of_one_second_keep_their_order(
    li: User, clock: Clock, session_id: str
) -> None:
    ids = []
    for number in range(6):
        ids.append((await li.ask(f"question {number}", "answer", session_id)).id)
        clock.pass_by(microseconds=1)
    assert [item["id"] for item in await li.history(session_id)] == ids[::-1]
    assert len({item["create_time"] for item in await li.history(session_id)}) == 1


async def test_bug_12_load_more_skips_no_turn_of_the_same_second(li: User, session_id: str) -> None:
    ids = [(await li.ask(f"question {n}", "answer", session_id)).id for n in range(6)]
    older = await li.history(session_id, 5, chat_id=ids[4])
    assert [item["id"] for item in older] == ids[3::-1]


async def test_hole_4_history_shows_only_own_turns(li: User, wang: User, session_id: str) -> None:
    await li.ask("secret question", "secret answer", session_id)
    assert await wang.history(session_id) == []


async def test_hole_4_regenerate_touches_only_own_turns(
    li: User, wang: User, session_id: str
) -> None:
    turn = await li.ask("question", "answer", session_id)
    assert (await wang.try_begin("question", turn_id=turn.id)).status_code == 403
    assert (await li.history(session_id))[0]["response"] == "answer"


async def test_an_empty_turn_id_does_not_lose_the_answer(li: User, session_id: str) -> None:
    # The old server neither inserted nor updated anything for "".
    turn = await li.begin("question", session_id=session_id, turn_id="")
    await finish(li.http, turn, "kept")
    assert (await li.history(session_id))[0]["response"] == "kept"
