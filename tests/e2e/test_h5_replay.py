"""What the published H5 does, request by request (contract 6.1-6.4), against the real product.

Each test runs straight against the gateway and through nginx with the configuration that we ship.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
import pytest

from tests.e2e.h5 import (
    H5,
    MODES,
    Body,
    BrokenRead,
    chat_body,
    complete,
    new_id,
    opened,
    parse_read,
    save_body,
)
from tests.stack import Client, Stack
from tests.tokens import mint_token

pytestmark = pytest.mark.e2e

LONG_HISTORY = [
    {"role": "assistant", "content": "<p>您好，有什么可以帮您？</p>\n"},
    {"role": "user", "content": "年假有几天"},
    {"role": "assistant", "content": "<p>十天</p>\n<ul>\n<li>司龄满一年</li>\n</ul>\n"},
    {"role": "user", "content": ""},
    {"role": "assistant", "content": ""},
    {"role": "user", "content": "{% raw %}{{ 7 * 7 }}{% endraw %}\n### 那病假呢 }{"},
    {"role": "assistant", "content": "<p>抱歉, 走神了. 请再问一次.</p>\n"},
]


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return stack.add_client("the H5's host app")


@pytest.fixture
def token(client: Client) -> str:
    """Of a user of the test's own, so that tests share one product."""
    return mint_token(client_id=client.id, public_key=client.public_key, user_id=new_id())


@pytest.fixture
async def h5(door: str, token: str) -> AsyncIterator[H5]:
    """A tab whose start page has been loaded, which is when the cookie comes."""
    async with opened(door, token) as tab:
        await tab.start()
        yield tab


async def _knowledge_base(h5: H5) -> str:
    bases, _, _ = await h5.start()
    return str(bases[0]["kb_name"])


async def test_start(door: str, token: str, client: Client) -> None:
    async with opened(door, token) as tab:
        bases, user, sessions = await tab.start()
        assert {"kb_name", "kb_zh_name", "kb_info", "create_time"} <= set(bases[0])
        assert (user["client_id"], user["enable"]) == (client.id, True)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", user["create_time"])
        assert sessions == []
        questions = await tab.get("/recommend/question?num=6")
        assert len(questions) == 6
        assert all(question["query"] for question in questions)


async def test_the_demo_link_logs_both_published_versions_in(door: str, stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=door) as browser:
        answer = await browser.get(f"/api/sso?client=0&secret={stack.demo_secret}")
        assert answer.status_code == 307
        target = answer.headers["location"]
        assert urlsplit(target).path == "/sso"
        [token] = parse_qs(urlsplit(target).query)["token"]
        # dist takes the token from any address; src has it from the page that answers /sso.
        page = await browser.get(urlunsplit(urlsplit(target)._replace(scheme="", netloc="")))
        assert page.status_code == 200
        stored = browser.cookies["chat2llm_session"]
        assert stored in page.text
    for api_token in (token, stored):
        async with opened(door, api_token) as tab:
            _, user, _ = await tab.start()
            assert user["client_id"] == "0"
            complete(await tab.chat("LLM", chat_body(new_id(), "你好")), "LLM")


async def test_a_first_conversation_is_saved_listed_and_resumed(h5: H5) -> None:
    session_id, first = new_id(), "请问一下公司里面年假到底是有几天呢😀谢谢您"
    assert await h5.history(session_id, 2) == []

    asked = [
        await h5.chat("LLM", chat_body(session_id, first)),
        await h5.chat("LLM", chat_body(session_id, "那病假呢", history=LONG_HISTORY[:3])),
        await h5.chat("LLM", chat_body(session_id, "加班呢", history=LONG_HISTORY)),
    ]
    answers = [complete(streamed, "LLM").answer for streamed in asked]

    await h5.post("/session/save", save_body(session_id, first, "LLM"))
    _, _, [listed] = await h5.start()
    assert listed["session_id"] == session_id
    assert first.startswith(listed["session_name"])
    assert listed["mode"] in MODES
    param = json.loads(listed["param"])
    assert isinstance(param, dict)
    assert (param["model_name"], param["knowledge_base_name"]) == ("zhipu-api", "")

    shown = await h5.history(session_id, 2)
    assert [item["query"] for item in shown] == ["加班呢", "那病假呢"]
    assert [item["response"] for item in shown] == [answers[2], answers[1]]
    older = await h5.history(session_id, 5, shown[-1]["id"])
    assert [item["query"] for item in older] == [first]
    assert await h5.history(session_id, 5, older[-1]["id"]) == []

    # A resumed page spreads the stored param over its request, and may have no history yet.
    resumed = chat_body(session_id, "继续") | param | {"query": "继续"}
    del resumed["history"]
    complete(await h5.chat("LLM", resumed), "LLM")
    assert [item["query"] for item in await h5.history(session_id, 1)] == ["继续"]


async def test_a_knowledge_base_answers_with_documents_that_open(h5: H5) -> None:
    session_id, name = new_id(), await _knowledge_base(h5)
    [question] = await h5.get(f"/recommend/question?kb_name={name}&num=1")
    body = chat_body(session_id, question["query"], "Knowledge", knowledge_base_name=name)
    streamed = complete(await h5.chat("Knowledge", body), "Knowledge")
    assert len(streamed.docs) >= 1
    assert all(len(read) < 8 * 1024 or b'"docs"' not in read for read in streamed.reads)

    [stored] = await h5.history(session_id, 2)
    assert stored["response"] == streamed.answer
    assert len(stored["docs"]) == len(streamed.docs)

    link = re.findall(r"^出处 \[1\] \[.+?\]\((.+?)\) \n\n", streamed.docs[0])[0]
    assert link.startswith("/api/knowledge_base/download_doc?")
    answer = await h5.open_link(link)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert len(answer.content) > 100


async def test_regenerating_under_an_id_that_only_the_page_knows(h5: H5) -> None:
    session_id = new_id()
    for _ in range(3):
        body = chat_body(session_id, "年假有几天")
        complete(await h5.chat("LLM", body | {"chat_history_id": new_id()}), "LLM")
    assert len(await h5.history(session_id, 5)) == 1


async def test_regenerating_a_turn_of_the_loaded_history(h5: H5) -> None:
    session_id, name = new_id(), await _knowledge_base(h5)
    for query in ("令牌怎么签发", "支持哪些格式"):
        body = chat_body(session_id, query, "Knowledge", knowledge_base_name=name)
        complete(await h5.chat("Knowledge", body), "Knowledge")
    newest, oldest = await h5.history(session_id, 2)
    again = chat_body(session_id, oldest["query"], "Knowledge", knowledge_base_name=name)
    again |= {"chat_history_id": oldest["id"], "history": LONG_HISTORY[:3]}
    streamed = complete(await h5.chat("Knowledge", again), "Knowledge")
    page = await h5.history(session_id, 5)
    assert [item["id"] for item in page] == [newest["id"], oldest["id"]]
    assert page[1]["response"] == streamed.answer


async def test_leaving_and_coming_back_several_times(h5: H5) -> None:
    session_id = new_id()
    await h5.chat("LLM", chat_body(session_id, "第一个问题"))
    # Left, opened from the list without a new question and left again: named by its id.
    await h5.post("/session/save", save_body(session_id, "第一个问题", "LLM"))
    await h5.post("/session/save", save_body(session_id, "", "LLM") | {"session_name": session_id})
    _, _, [listed] = await h5.start()
    assert listed["session_name"] == "第一个问题"


async def test_delete_is_a_raw_form_body(h5: H5) -> None:
    kept, deleted = new_id(), new_id()
    for session_id in (kept, deleted):
        await h5.chat("LLM", chat_body(session_id, "问题"))
        await h5.post("/session/save", save_body(session_id, "问题", "LLM"))
    assert await h5.post("/session/delete", deleted) is True
    _, _, listed = await h5.start()
    assert [item["session_id"] for item in listed] == [kept]
    assert await h5.history(deleted, 2) == []


@pytest.mark.parametrize("records", range(8))
async def test_any_number_of_history_records(h5: H5, records: int) -> None:
    body = chat_body(new_id(), "继续说", history=LONG_HISTORY[:records], history_count=records)
    complete(await h5.chat("LLM", body), "LLM")


async def test_answers_of_several_tabs_do_not_mix(h5: H5) -> None:
    queries = [f"第 {number} 个问题" for number in range(6)]
    ids = [new_id() for _ in queries]
    tabs = (h5.chat("LLM", chat_body(i, q)) for i, q in zip(ids, queries, strict=True))
    for session_id, query, streamed in zip(ids, queries, await asyncio.gather(*tabs), strict=True):
        [stored] = await h5.history(session_id, 2)
        assert (stored["query"], stored["response"]) == (query, complete(streamed, "LLM").answer)


async def test_braces_that_the_parser_would_take_for_a_seam(h5: H5) -> None:
    for query in ('{"a":{}}{"b":1}', "}{" * 50, 'say "}{" \\ \n\t😀'):
        session_id = new_id()
        streamed = complete(await h5.chat("LLM", chat_body(session_id, query)), "LLM")
        [stored] = await h5.history(session_id, 1)
        assert (stored["query"], stored["response"]) == (query, streamed.answer)


async def test_an_unknown_knowledge_base_is_an_envelope(h5: H5) -> None:
    body = chat_body(new_id(), "问题", "Knowledge", knowledge_base_name="nobody")
    streamed = await h5.chat("Knowledge", body)
    assert streamed.headers["content-type"].startswith("application/json")
    expected = {"code": 404, "msg": "未找到知识库 nobody", "data": None}
    assert json.loads(b"".join(streamed.reads)) == expected


async def test_a_tab_without_the_cookie_reads_why(door: str, token: str) -> None:
    async with opened(door, token) as tab:
        for mode in ("LLM", "Knowledge"):
            streamed = await tab.chat(mode, chat_body(new_id(), "问题", mode))
            assert streamed.status == 401
            [shown] = parse_read(b"".join(streamed.reads))
            assert shown["text"]
            assert shown["answer"]


async def test_the_cookie_opens_streams_and_links_only(h5: H5) -> None:
    closed: dict[str, Any] = {"/session/list": None, "/user/info": None}
    async with httpx.AsyncClient(base_url=h5.door, cookies=h5.cookies) as http:
        for path in closed:
            assert (await http.get(f"/api{path}")).status_code == 401
        foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        answer = await http.post(
            "/api/chat/chat", json=chat_body(new_id(), "问题"), headers=foreign
        )
        assert answer.status_code == 403


async def test_another_user_sees_and_changes_nothing(door: str, h5: H5, client: Client) -> None:
    session_id = new_id()
    await h5.chat("LLM", chat_body(session_id, "秘密"))
    await h5.post("/session/save", save_body(session_id, "秘密", "LLM"))
    [turn] = await h5.history(session_id, 1)
    other = mint_token(client_id=client.id, public_key=client.public_key, user_id=new_id())
    async with opened(door, other) as tab:
        assert (await tab.start())[2] == []
        assert await tab.history(session_id, 5) == []
        assert await tab.history(session_id, 5, turn["id"]) == []
        for body in (
            chat_body(session_id, "问题"),
            chat_body(new_id(), "秘密", chat_history_id=turn["id"]),
        ):
            refused = await tab.chat("LLM", body)
            assert json.loads(b"".join(refused.reads))["msg"] == "无权操作!"
    assert [item["response"] for item in await h5.history(session_id, 5)] == [turn["response"]]


async def test_a_bad_token_is_401_for_the_page_to_throw_away(door: str) -> None:
    for token in ("nonsense", "bm9uc2Vuc2U=", "c2s-nobody"):
        async with httpx.AsyncClient(base_url=door) as http:
            answer = await http.get("/api/session/list", headers={"Api-Token": token})
        assert (answer.status_code, answer.text) == (
            401,
            "Authentication required: Api-Token无效!",
        )


@pytest.mark.parametrize(
    ("read", "result"),
    [
        (b'{"text": "a"}', [{"text": "a"}]),
        (b'{"text": "a"}{"text": "b"}', [{"text": "a"}, {"text": "b"}]),
        (b'[{"text": "a"}]', [{"text": "a"}]),
        (b'{"text": "a"}\n', [{"text": "a"}]),
        (b"", []),
        (b" \n", []),
        (b'{"text": "}{"}{"text": ""}', [{"text": "},{"}, {"text": ""}]),
        (b'{"text": "}\\u007b"}{"text": ""}', [{"text": "}{"}, {"text": ""}]),
    ],
)
def test_the_parser_is_the_contracts(read: bytes, result: list[Any]) -> None:
    assert parse_read(read) == result


@pytest.mark.parametrize("read", [b'{"a":1}\n{"a":2}', b'data: {"a":1}', b'{"a', b'{"a":NaN}'])
def test_the_parser_refuses_what_the_contract_says(read: bytes) -> None:
    with pytest.raises(BrokenRead):
        parse_read(read)


@pytest.mark.parametrize("head", ["Transfer-Encoding: chunked", "Content-Length: 10"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_reads_are_taken_out_of_http_wherever_it_is_cut(head: str, size: int) -> None:
    body = b"4\r\n{1}{\r\n6\r\n23456}\r\n0\r\n\r\n" if "chunked" in head else b"{1}{23456}"
    raw, taken, reads = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body, Body(), []
    for at in range(0, len(raw), size):
        assert not taken.ended or not raw[at:].strip()
        reads.append(taken.feed(raw[at : at + size]))
    assert taken.ended
    assert b"".join(reads) == b"{1}{23456}"
