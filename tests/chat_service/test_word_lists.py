"""Word lists in every mode, over sockets: blocked, masked, replaced, logged, and managed."""

import asyncio
from typing import Any

import httpx
from aiohttp import web

from tests.chat_service.conftest import Chat, StartChat, caller_header
from tests.chat_service.standins import KbStandIn, SessionStandIn, StandIn
from tests.fakes.vendor import VendorServer, tokens

ADMIN = caller_header("admin")
LISTS = "/admin/word-lists"
NUL = {"name": "x", "action": "replace", "replacement": "\x00"}  # PostgreSQL takes none
BLOCKED = "内容包含不允许的词语"


async def add(chat: Chat, **values: Any) -> int:
    body = {"name": "表", "action": "mask", "words": ["机密"]} | values
    answer = await chat.post(LISTS, body, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    list_id: int = answer.json()["id"]
    return list_id


async def add_words(chat: Chat, name: str, number: int) -> httpx.Response:
    words = [f"{name}{n}" for n in range(number)]
    body = {"name": name, "action": "mask", "words": words, "enabled": False}
    return await chat.post(LISTS, body, headers=ADMIN)


async def hits(chat: Chat) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while True:
            answer = await chat.client.get("/admin/word-hits", headers=ADMIN)
            if answer.json()["items"]:
                items: list[dict[str, Any]] = answer.json()["items"]
                return items
            await asyncio.sleep(0.1)


async def test_an_answer_is_masked_over_tokens(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    await add(chat, applies_to="answer")
    vendor.then(tokens(["这是机", "密", "，再见机"]))
    objects = await chat.ask("机密吗")
    assert "".join(one["text"] for one in objects) == "这是**，再见机" == sessions.turn.response
    assert objects[0]["text"] == "这是"
    assert vendor.requests[0].body["messages"][-1]["content"] == "机密吗"
    (hit,) = await hits(chat)
    del hit["create_time"]
    assert hit == {
        "list_name": "表",
        "action": "mask",
        "found_in": "answer",
        "mode": "chat/chat",
        "client_id": "7",
        "user_id": "u1",
        "hits": 1,
    }


async def test_a_word_that_blocks_ends_the_answer(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    await add(chat, action="block")
    vendor.then(tokens(["先说", "机", "密", "后面"]))
    said = await chat.said()
    assert said.startswith(f"先说\n\n{BLOCKED}")
    assert "机" not in said
    assert "后面" not in said
    assert sessions.turn.state == "failed"


ASKED: dict[str, dict[str, Any]] = {
    "/chat/chat": {"query": "机密"},
    "/chat/knowledge_base_chat": {"query": "机密", "knowledge_base_name": "kb1"},
    "/chat/search_engine_chat": {"query": "机密", "search_engine_name": "duckduckgo"},
    "/chat/agent_chat": {"query": "机密"},
    "/chat/fastchat": {"messages": [{"role": "user", "content": "机密"}]},
    "/other/completion": {"query": "机密"},
    "/v1/chat/completions": {
        "model": "custom-api",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "机密"}]}],
    },
}


async def test_a_blocked_question_reaches_no_model(
    chat: Chat, vendor: VendorServer, kb: KbStandIn
) -> None:
    await add(chat, action="block", applies_to="question")
    for path, body in ASKED.items():
        answer = await chat.post(path, body)
        assert answer.status_code == (400 if path.startswith("/v1") else 200)
        assert BLOCKED in answer.text, path
    assert answer.json()["error"]["code"] == "content_filter"
    assert not vendor.requests
    assert not kb.searches


async def test_words_are_replaced_in_every_mode(
    chat: Chat, vendor: VendorServer, kb: KbStandIn
) -> None:
    await add(chat, action="replace", replacement="某事")
    vendor.default = tokens(["说机", "密"])
    for path, body in ASKED.items():
        if path != "/chat/search_engine_chat":  # there is no such network here
            answer = await chat.post(path, body)
            assert "说某事" in answer.text, path
            assert "机密" not in str(vendor.requests[-1].body), path


EARLIER = [
    {"role": "user", "content": "机密的事"},
    {"role": "assistant", "content": "好的"},
]


async def test_earlier_questions_are_read_without_the_words_too(
    chat: Chat, vendor: VendorServer
) -> None:
    await add(chat, action="mask", applies_to="question")
    vendor.default = tokens(["好"])
    for path, body in ASKED.items():
        if path == "/chat/search_engine_chat":  # there is no such network here
            continue
        asked = {"messages": [*EARLIER, *body["messages"]]} if "messages" in body else {}
        answer = await chat.post(path, body | asked | {"history": EARLIER})
        assert answer.status_code == 200, answer.text
        sent = str(vendor.requests[-1].body)
        assert ("的事" in sent) == (path != "/other/completion"), path
        assert "机密" not in sent, path
    session = {"session_id": "5" * 32}
    await chat.post("/chat/chat", {"query": "机密的事"} | session)
    await chat.post("/chat/chat", {"query": "然后呢"} | session)
    sent = str(vendor.requests[-1].body)
    assert "的事" in sent
    assert "机密" not in sent


async def test_words_do_not_hide_in_how_a_client_sends_its_history(
    chat: Chat, vendor: VendorServer
) -> None:
    await add(chat, action="block", applies_to="question")
    vendor.default = tokens(["好"])
    history = [
        {"role": role, "content": content}
        for role, content in (("human", "机密"), ("ai", "好"), ("user", "<p>问机<b></b>密</p>"))
    ]
    await chat.post("/chat/chat", {"query": "下一个", "history": history})
    sent = [message["content"] for message in vendor.requests[-1].body["messages"]]
    assert sent == ["…", "好", "问\n\n下一个"]


async def test_of_a_question_that_is_nothing_but_words_something_is_left(
    chat: Chat, vendor: VendorServer
) -> None:
    await add(chat, action="replace", applies_to="question")
    vendor.default = tokens(["好"])
    parts = [{"type": "text", "text": "机密"}]
    messages = [
        {"role": "user", "content": "机密"},
        {"role": "assistant", "content": "好"},
        {"role": "user", "content": parts},
    ]
    await chat.post("/v1/chat/completions", {"model": "custom-api", "messages": messages})
    sent = [message["content"] for message in vendor.requests[-1].body["messages"]]
    assert sent == ["…", "好", [{"type": "text", "text": "…"}]]
    await chat.ask("机密")
    assert vendor.requests[-1].body["messages"][-1]["content"] == "…"


async def test_an_earlier_question_that_is_blocked_ends_no_conversation(
    chat: Chat, vendor: VendorServer
) -> None:
    await add(chat, action="block", applies_to="question")
    vendor.default = tokens(["好"])
    said = [*EARLIER, {"role": "user", "content": "下一个"}]
    for path in ("/chat/fastchat", "/v1/chat/completions"):
        answer = await chat.post(path, {"model": "custom-api", "messages": said})
        assert "好" in answer.text, path
        assert "的事" not in str(vendor.requests[-1].body), path


async def test_lists_are_managed(chat: Chat) -> None:
    list_id = await add(chat, words=["甲", "甲", " 乙 "])
    path = f"{LISTS}/{list_id}"
    text = "# 说明\n丙\n\n 丁 \n甲\n"
    imported = await chat.post(f"{path}/import", {"text": text}, headers=ADMIN)
    assert imported.json()["word_count"] == 4
    words = await chat.client.get(f"{path}/words", headers=ADMIN, params={"page_size": 3})
    assert (words.json()["items"], words.json()["total"]) == (["甲", "乙", "丙"], 4)
    changed = await chat.client.patch(path, json={"enabled": False}, headers=ADMIN)
    assert changed.json()["enabled"] is False
    assert (await chat.client.get(LISTS, headers=ADMIN)).json()["total"] == 1
    refused: list[tuple[httpx.Response, int]] = [
        (await chat.post(LISTS, {"name": "表", "action": "mask"}, headers=ADMIN), 409),
        (await chat.post(LISTS, {"name": "x", "action": "shout"}, headers=ADMIN), 422),
        (await chat.post(LISTS, NUL, headers=ADMIN), 422),
        (await chat.post(f"{path}/import", {"text": "长" * 65}, headers=ADMIN), 422),
        (await add_words(chat, "a", 50_000), 201),
        (await add_words(chat, "b", 49_996), 201),
        (await add_words(chat, "c", 1), 422),
        (await chat.client.patch(path, json={"name": None}, headers=ADMIN), 422),
        (await chat.client.get(LISTS), 403),
        (await chat.client.delete(path, headers=ADMIN), 204),
        (await chat.client.get(path, headers=ADMIN), 404),
    ]
    assert [answer.status_code for answer, _ in refused] == [status for _, status in refused]


async def test_other_processes_follow(start_chat: StartChat, vendor: VendorServer) -> None:
    chat = await start_chat(custom_api_base_url=vendor.base_url)
    other = await start_chat(custom_api_base_url=vendor.base_url)
    vendor.default = tokens(["机密"])
    await add(other)
    async with asyncio.timeout(20):
        while await chat.said(session_id=None) != "**":  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


class Moderator(StandIn):
    """Flags what holds `坏`; away with any other status than 200."""

    status = 200

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/moderations", self._moderate)]

    async def _moderate(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer m-key"
        asked = await request.json()
        assert asked["model"] == "omni"
        body = {"results": [{"flagged": "坏" in asked["input"]}]}
        return web.json_response(body, status=self.status)


async def test_moderation(start_chat: StartChat, vendor: VendorServer) -> None:
    async with Moderator() as moderator:
        chat = await start_chat(
            custom_api_base_url=vendor.base_url,
            moderation_api_base_url=f"{moderator.url}/v1",
            moderation_api_api_key="m-key",
            moderation_api_model="omni",
        )
        vendor.default = tokens(["好"])
        assert await chat.said("你好") == "好"
        assert "未通过内容审核" in await chat.said("坏问题")
        moderator.status = 500
        assert await chat.said("坏问题") == "好"
    assert await chat.said("坏问题") == "好"
    assert len(vendor.requests) == 3
