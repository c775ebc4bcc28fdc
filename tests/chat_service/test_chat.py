"""Free chat: the bytes, the ids, what is stored, what is refused."""

import json
from typing import Any

import pytest

from tests.chat_service.conftest import SESSION_ID, Chat, StartChat, caller_header
from tests.chat_service.standins import SessionStandIn, StoredTurn
from tests.fakes.vendor import VendorServer, chunks, data, event, tokens


async def test_streams_one_object_a_token(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(tokens(["你", "好", "\n", '"}{']))
    objects = await chat.ask()
    turn = sessions.turn
    assert [o["text"] for o in objects] == ["你", "好", "\n", '"}{']
    assert {o["chat_history_id"] for o in objects} == {turn.id}
    assert (turn.response, turn.state, turn.docs) == ('你好\n"}{', "done", [])
    assert (turn.session_id, turn.chat_type, turn.query) == (SESSION_ID, "llm_chat", "你好")


async def test_bytes_are_the_contract_s(chat: Chat, vendor: VendorServer) -> None:
    vendor.then(tokens(["你 }{"], pace=0.05))
    async with chat.client.stream("POST", "/chat/chat", json={"query": "q", "stream": True}) as a:
        first = await anext(a.aiter_raw())
        assert a.headers["cache-control"] == "no-cache, no-transform"
        assert a.headers["x-accel-buffering"] == "no"
    turn_id = json.loads(first)["chat_history_id"]
    expected = '{"text": "你 }\\u007b", "chat_history_id": "' + turn_id + '"}'
    assert first.decode() == expected


async def test_whole_answer_is_one_object(chat: Chat, sessions: SessionStandIn) -> None:
    answer = await chat.post("/chat/chat", {"query": "q"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.startswith('{"text": "词0 词1 ')
    assert answer.json()["chat_history_id"] == sessions.turn.id


async def test_the_question_is_stored_before_the_model_is_asked(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    seen: list[list[StoredTurn]] = []

    async def look(reply: Any) -> None:
        seen.append([StoredTurn(**vars(turn)) for turn in sessions.turns.values()])
        await tokens(["好"])(reply)

    vendor.then(look)
    await chat.ask("先存下来")
    assert [(t.query, t.state) for t in seen[0]] == [("先存下来", "asking")]


async def test_ids_of_the_client_are_used(chat: Chat, sessions: SessionStandIn) -> None:
    objects = await chat.ask(chat_history_id="a" * 32)
    assert set(sessions.turns) == {"a" * 32} == {o["chat_history_id"] for o in objects}


async def test_an_empty_id_is_a_new_turn(chat: Chat, sessions: SessionStandIn) -> None:
    await chat.ask(chat_history_id="")
    assert len(sessions.turn.id) == 32


async def test_a_foreign_turn_is_refused(chat: Chat, vendor: VendorServer) -> None:
    answer = await chat.post("/chat/chat", {"query": "q", "chat_history_id": "foreign"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"code": 403, "msg": "无权操作!", "data": None}
    assert not vendor.requests


async def test_session_service_away_is_503(chat: Chat, sessions: SessionStandIn) -> None:
    await sessions.stop()
    answer = await chat.post("/chat/chat", {"query": "q"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_without_identity(chat: Chat) -> None:
    for path in (
        "/chat/chat",
        "/chat/knowledge_base_chat",
        "/llm_model/list_config_models",
        "/llm_model/list_running_models",
        "/llm_model/get_model_config",
        "/server/configs",
        "/server/get_prompt_template",
    ):
        answer = await chat.post(path, {"query": "q"}, headers={"X-Chat2LLM-Caller": "forged"})
        assert answer.status_code == 401, path


async def test_without_the_scope(chat: Chat) -> None:
    answer = await chat.post("/chat/chat", {"query": "q"}, headers=caller_header("kb:read"))
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", None),
        ("query", ""),
        ("query", 5),
        ("session_id", "short"),
        ("session_id", "x" * 33),
        ("chat_history_id", "x" * 33),
        ("session_id", "\x00" * 32),
        ("chat_history_id", "a\x00b"),
        ("chat_history_id", "a" * 33),
        ("chat_history_id", "a/b?c"),
        ("temperature", -0.1),
        ("temperature", 1.1),
        ("max_tokens", "many"),
        ("stream", "perhaps"),
        ("history", ["user", "x"]),
        ("history", [["user", "x"]]),
        ("history", [{"role": "user"}]),
    ],
)
async def test_bounds(field: str, value: Any, chat: Chat, sessions: SessionStandIn) -> None:
    answer = await chat.post("/chat/chat", {"query": "q"} | {field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", field]
    assert not sessions.turns


async def test_bad_json(chat: Chat) -> None:
    answer = await chat.client.post(
        "/chat/chat", content=b"{", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


async def test_what_the_published_client_sends(chat: Chat, vendor: VendorServer) -> None:
    """A resumed session: unknown keys, an unconfigured model, an empty knowledge base name."""
    text = await chat.said(
        model_name="zhipu-api",
        knowledge_base=None,
        history_count=5,
        split_result=False,
        top_k=3,
        score_threshold=1,
        prompt_name="default",
        max_tokens=2000,
    )
    assert text.startswith("词0")
    assert vendor.requests[0].body["max_tokens"] == 2000


async def test_half_a_character_is_no_obstacle(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    body = b'{"query": "a\\ud83d", "history": [{"role": "user", "content": "\\ud83d"}]}'
    answer = await chat.client.post(
        "/chat/chat", content=body, headers={"content-type": "application/json"}
    )
    assert answer.json()["text"]
    assert sessions.turn.query == "a\ufffd"


async def test_history_absent_means_the_stored_turns(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(tokens(["甲"]), chunks([event("半"), data({"error": "x"})]), tokens(["丙"]))
    for query in ("一", "二", "三"):
        await chat.ask(query)
    assert vendor.requests[2].body["messages"] == [
        {"role": "user", "content": "一"},
        {"role": "assistant", "content": "甲"},
        {"role": "user", "content": "三"},
    ]


async def test_an_empty_history_is_none(chat: Chat, vendor: VendorServer) -> None:
    await chat.ask("一")
    await chat.ask("二", history=[])
    assert vendor.requests[1].body["messages"] == [{"role": "user", "content": "二"}]


async def test_prompts_by_name(chat: Chat, vendor: VendorServer) -> None:
    await chat.ask("排序", prompt_name="py")
    await chat.ask("排序", prompt_name="no-such-prompt", history=[])
    first, second = (request.body["messages"][-1]["content"] for request in vendor.requests)
    assert "Python" in first
    assert "排序" in first
    assert second == "排序"


async def test_one_write_stays_small_and_whole(chat: Chat, vendor: VendorServer) -> None:
    vendor.then(
        chunks([event("}{" * 50_000), event("\x01" * 5000), event(None, finish_reason="stop")])
    )
    async with chat.client.stream("POST", "/chat/chat", json={"query": "q", "stream": True}) as a:
        reads = [read async for read in a.aiter_raw()]
    assert max(map(len, reads)) < 64 * 1024
    text = b"".join(reads).decode()
    objects = json.loads("[" + text.replace("}{", "},{") + "]")
    assert "".join(o["text"] for o in objects) == "}{" * 50_000 + "\x01" * 5000
    assert max(len(json.dumps(o, ensure_ascii=False).encode()) for o in objects) < 8192


async def test_offline_says_what_it_is(start_chat: StartChat, sessions: SessionStandIn) -> None:
    offline = await start_chat()
    chinese, english = await offline.said("你是谁"), await offline.said("Who are you?")
    assert "未配置" in chinese or "没有配置" in chinese
    assert "config.ini" in chinese
    assert english.startswith("[Offline")
    assert {turn.state for turn in sessions.turns.values()} == {"done"}
