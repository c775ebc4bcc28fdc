"""/session/list, /session/save and /session/delete (contract 1.1 and 6.2)."""

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.session_service.conftest import Clock, User, UserOf

# The contract's own example of a stored param.
STORED_PARAM = (
    '{"model_name": "zhipu-api", "query": null, "stream": true, "temperature": 0.7,'
    ' "max_tokens": 2000, "prompt_name": "default", "history_count": 5,'
    ' "knowledge_base_name": "", "top_k": 3, "score_threshold": 1, "split_result": false}'
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_saved_session_is_listed_as_the_h5_reads_it(li: User, session_id: str) -> None:
    # What the H5 sends: no model_name, no knowledge_base_name, a null query.
    param: dict[str, Any] = {"query": None, "stream": True, "temperature": 0.7, "max_tokens": 2000}
    param |= {"prompt_name": "default", "history_count": 5, "top_k": 3}
    param |= {"score_threshold": 1, "split_result": False}
    await li.save(session_id, session_name="今天天气怎么样", mode="Knowledge", param=param)
    [item] = await li.sessions()
    assert item.pop("create_time").count(":") == 2
    assert item == {
        "session_id": session_id,
        "session_name": "今天天气怎么样",
        "mode": "Knowledge",
        "param": STORED_PARAM,
    }


async def test_answers_are_compact_envelopes(li: User, session_id: str) -> None:
    body = {"session_id": session_id, "session_name": "名", "mode": "LLM", "param": {}}
    answer = await li.http.post("/session/save", json=body)
    assert answer.text == '{"code":200,"msg":"success","data":true}'
    answer = await li.http.get("/session/list")
    assert answer.text.startswith('{"code":200,"msg":"success","data":[{')
    assert '"session_name":"名"' in answer.text


async def test_an_empty_list_is_an_array(li: User) -> None:
    assert await li.sessions() == []


async def test_sessions_are_listed_newest_first(li: User, clock: Clock) -> None:
    ids = [uuid.uuid4().hex for _ in range(5)]
    for session_id in ids:
        clock.pass_by(milliseconds=1)
        await li.save(session_id)
    assert [item["session_id"] for item in await li.sessions()] == ids[::-1]


async def test_a_session_that_was_only_chatted_in_is_not_listed(li: User, session_id: str) -> None:
    await li.ask("你好", "好", session_id)
    assert await li.sessions() == []
    await li.save(session_id)
    assert len(await li.sessions()) == 1


async def test_an_own_model_and_threshold_are_kept(li: User, session_id: str) -> None:
    param = {"model_name": "qwen-api", "score_threshold": 0.7, "knowledge_base_name": "手册"}
    await li.save(session_id, param=param)
    stored = json.loads((await li.sessions())[0]["param"])
    assert stored["model_name"] == "qwen-api"
    assert stored["score_threshold"] == 0.7
    assert stored["knowledge_base_name"] == "手册"


@pytest.mark.parametrize("field", ["query", "stream", "temperature", "max_tokens", "prompt_name"])
async def test_nulls_in_param_stay_null(li: User, session_id: str, field: str) -> None:
    await li.save(session_id, param={field: None})
    assert json.loads((await li.sessions())[0]["param"])[field] is None


async def test_unknown_keys_are_ignored(li: User, session_id: str) -> None:
    await li.save(session_id, param={"colour": "red"}, colour="blue")
    assert "colour" not in (await li.sessions())[0]["param"]


async def test_a_name_cut_inside_an_emoji_loses_only_the_half(li: User, session_id: str) -> None:
    # JSON.stringify of 19 characters and half a surrogate pair.
    name = "一二三四五六七八九十一二三四五六七八九"
    body = (
        f'{{"session_id":"{session_id}","session_name":"{name}\\ud83d","mode":"LLM","param":{{}}}}'
    )
    answer = await li.http.post(
        "/session/save", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.json()["data"] is True
    assert (await li.sessions())[0]["session_name"] == name


async def test_halves_of_emoji_anywhere_are_no_error(li: User, session_id: str) -> None:
    half = "\\udc00"
    for path, body in {
        "/session/save": f'{{"session_id":"{session_id}","session_name":"{half}","mode":"{half}",'
        f'"param":{{"query":"{half}","prompt_name":"{half}"}}}}',
        "/session/delete": f'"{session_id[:31]}{half}"',
        "/history/latest": f'{{"session_id":"{half}","chat_id":"{half}","num":1}}',
        "/chat/feedback": f'{{"chat_history_id":"{half}","score":1,"reason":"{half}"}}',
        "/internal/turns": f'{{"chat_type":"llm_chat","query":"{half}","turn_id":"{half}"}}',
    }.items():
        answer = await li.http.post(
            path, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (200, 422), (path, answer.text)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"session_id": "a" * 31}, "String should have at least 32 characters"),
        ({"session_id": "a" * 33}, "String should have at most 32 characters"),
        ({"mode": "m" * 21}, "String should have at most 20 characters"),
        ({"param": {"query": "q" * 4097}}, "String should have at most 4096 characters"),
    ],
)
async def test_bounds_speak_of_characters(li: User, changed: dict[str, Any], message: str) -> None:
    answer = await li.http.post("/session/save", json=_saved(**changed))
    [problem] = answer.json()["detail"]
    assert (answer.status_code, problem["msg"]) == (422, message)
    assert problem["type"].startswith("string_too_")


async def test_the_id_as_name_is_what_the_h5_sends_when_it_never_named_the_session(
    li: User, session_id: str
) -> None:
    await li.save(session_id, session_name=session_id)
    assert (await li.sessions())[0]["session_name"] == session_id[:20]


async def test_an_unnamed_session_is_called_by_its_first_question(
    li: User, session_id: str
) -> None:
    await li.ask("请问公司的年假一共有多少天可以休到什么时候", "十天", session_id)
    await li.ask("那病假呢", "五天", session_id)
    await li.save(session_id, session_name=session_id)
    assert (await li.sessions())[0]["session_name"] == "请问公司的年假一共有多少天可以休到什么时"


async def test_saving_unnamed_keeps_the_name_that_is_there(li: User, session_id: str) -> None:
    await li.save(session_id, session_name="年假")
    await li.save(session_id, session_name=session_id, mode="Knowledge")
    [item] = await li.sessions()
    assert (item["session_name"], item["mode"]) == ("年假", "Knowledge")


def _saved(**body: Any) -> dict[str, Any]:
    return {"session_id": "a" * 32, "session_name": "n", "mode": "LLM", "param": {}} | body


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, ["body", "session_id"]),
        (_saved(session_id="a" * 31), ["body", "session_id"]),
        (_saved(session_id="a" * 33), ["body", "session_id"]),
        (_saved(session_id=None), ["body", "session_id"]),
        (_saved(session_id=7), ["body", "session_id"]),
        (_saved(session_name="n" * 21), ["body", "session_name"]),
        (_saved(session_name="b" * 32), ["body", "session_name"]),
        (_saved(session_name=None), ["body", "session_name"]),
        (_saved(mode="m" * 21), ["body", "mode"]),
        (_saved(param="{}"), ["body", "param"]),
        (_saved(param=[]), ["body", "param"]),
        (_saved(param={"model_name": None}), ["body", "param", "model_name"]),
        (_saved(param={"query": "q" * 4097}), ["body", "param", "query"]),
        (_saved(param={"top_k": "three"}), ["body", "param", "top_k"]),
        (
            _saved(param={"knowledge_base_name": "k" * 101}),
            ["body", "param", "knowledge_base_name"],
        ),
    ],
)
async def test_save_refuses(li: User, body: dict[str, Any], at: list[str]) -> None:
    answer = await li.http.post("/session/save", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == at
    assert set(answer.json()["detail"][0]) == {"loc", "msg", "type"}
    assert await li.sessions() == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_save_refuses_numbers_that_json_cannot_hold(li: User, number: str) -> None:
    # The H5 parses every listed param: one NaN there would end all its sessions.
    param = f'{{"temperature":{number},"score_threshold":{number}}}'
    body = f'{{"session_id":"{"a" * 32}","session_name":"n","mode":"LLM","param":{param}}}'
    answer = await li.http.post(
        "/session/save", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert await li.sessions() == []


async def test_limits_are_inclusive(li: User, session_id: str) -> None:
    await li.save(session_id, session_name="名" * 20, mode="m" * 20)
    await li.save(uuid.uuid4().hex, session_name="", mode="")
    assert len(await li.sessions()) == 2


async def test_bad_json_is_answered_as_the_contract_shows(li: User) -> None:
    answer = await li.http.post(
        "/session/save", content=b"nonsense", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json() == {
        "detail": [
            {
                "type": "json_invalid",
                "loc": ["body", 0],
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": "Expecting value"},
            }
        ]
    }


async def _delete(user: User, content: bytes, content_type: str) -> httpx.Response:
    return await user.http.post(
        "/session/delete", content=content, headers={"Content-Type": content_type}
    )


@pytest.mark.parametrize(
    ("before", "after", "content_type"),
    [
        (b"", b"", "application/x-www-form-urlencoded"),  # what the published H5 sends
        (b"", b"", "text/plain"),
        (b'"', b'"', "application/json"),
    ],
)
async def test_delete_takes_the_bare_id(
    li: User, session_id: str, before: bytes, after: bytes, content_type: str
) -> None:
    await li.save(session_id)
    await li.ask("你好", "好", session_id)
    answer = await _delete(li, before + session_id.encode() + after, content_type)
    assert answer.text == '{"code":200,"msg":"success","data":true}'
    assert await li.sessions() == []
    assert await li.history(session_id) == []


async def test_deleting_what_does_not_exist_is_true(li: User, session_id: str) -> None:
    assert await li.post("/session/delete", session_id) is True


async def test_delete_takes_turns_without_a_saved_session(li: User, session_id: str) -> None:
    await li.ask("你好", "好", session_id)
    assert await li.post("/session/delete", session_id) is True
    assert await li.history(session_id) == []


async def test_delete_leaves_other_sessions(li: User, session_id: str) -> None:
    other = uuid.uuid4().hex
    for kept in (session_id, other):
        await li.save(kept)
        await li.ask("你好", "好", kept)
    await li.post("/session/delete", session_id)
    assert [item["session_id"] for item in await li.sessions()] == [other]
    assert len(await li.history(other)) == 1


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"session_id":"' + b"a" * 32 + b'"}', "application/json"),
        (b'"' + b"a" * 31 + b'"', "application/json"),
        (b"a" * 33, "application/x-www-form-urlencoded"),
        (b"session_id=" + b"a" * 32, "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"", "application/json"),
        (b"", "application/x-www-form-urlencoded"),
        (b"\xff" * 31, "text/plain"),
    ],
)
async def test_delete_refuses(li: User, content: bytes, content_type: str) -> None:
    answer = await _delete(li, content, content_type)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


async def test_a_deleted_id_is_free_again(li: User, wang: User, session_id: str) -> None:
    await li.save(session_id)
    await li.post("/session/delete", session_id)
    await wang.save(session_id)
    assert len(await wang.sessions()) == 1


async def test_the_same_user_id_of_another_client_is_another_user(
    li: User, user: UserOf, session_id: str
) -> None:
    await li.save(session_id)
    assert await user("li", client_id="8").sessions() == []
