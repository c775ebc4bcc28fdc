"""Free chat: the bytes, the ids, what is stored."""

import json

from tests.chat_service.conftest import SESSION_ID, Chat
from tests.chat_service.standins import SessionStandIn
from tests.fakes.vendor import VendorServer, tokens


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
    turn_id = json.loads(first)["chat_history_id"]
    assert first.decode() == '{"text": "你 }\\u007b", "chat_history_id": "%s"}' % turn_id


async def test_whole_answer_is_one_object(chat: Chat, sessions: SessionStandIn) -> None:
    answer = await chat.post("/chat/chat", {"query": "q"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.startswith('{"text": "词0 词1 ')
    assert answer.json()["chat_history_id"] == sessions.turn.id
