"""Agents over MCP, with the official client on a real socket."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.chat_service.conftest import Chat, StartChat, caller_header, until
from tests.chat_service.standins import KbStandIn, SessionStandIn
from tests.fakes.vendor import VendorServer, event, hang


@asynccontextmanager
async def agent(chat: Chat, *scopes: str, mode: str = "auto") -> AsyncIterator[Client]:
    """An MCP client with the caller's header, as the gateway would add it."""
    url = str(chat.client.base_url.join("/mcp"))
    async with (
        httpx2.AsyncClient(headers=caller_header(*scopes), timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """A tool's structured result."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content.get("result", result.structured_content)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return json.dumps([block.model_dump() for block in result.content], ensure_ascii=False)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_finds_reads_and_asks(
    start_chat: StartChat, kb: KbStandIn, sessions: SessionStandIn, mode: str
) -> None:
    chat = await start_chat()
    kb.hold("年假五天。", "病假十天。")
    async with agent(chat, mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {
            "list_knowledge_bases",
            "search",
            "read_document",
            "ask",
        }
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert await call(client, "list_knowledge_bases") == [
            {"name": "kb1", "title": "手册", "about": "员工手册", "files": 1}
        ]
        found = await call(client, "search", knowledge_base="kb1", query="年假几天？")
        assert found[0] == {"file_name": "手册 (1).md", "content": "年假五天。", "score": 0.5}
        assert "filter" not in kb.searches[0]
        wanted = {"files": ["手册 (1).md"], "page_from": 2}
        await call(client, "search", knowledge_base="kb1", query="年假", filter=wanted)
        assert kb.searches[1]["filter"] == wanted
        name = found[0]["file_name"]
        first = await call(client, "read_document", knowledge_base="kb1", file_name=name)
        assert first == {"text": "年假五天。", "next": 1}
        rest = await call(
            client, "read_document", knowledge_base="kb1", file_name=name, start=first["next"]
        )
        assert rest == {"text": "病假十天。", "next": None}
        answer = await call(client, "ask", question="年假几天？", knowledge_base="kb1")
        assert "年假五天" in answer["text"]
        assert answer["citations"][0]["file_name"] == name
    assert (sessions.turn.query, sessions.turn.state) == ("年假几天？", "done")


async def test_refusals_are_sentences(start_chat: StartChat, kb: KbStandIn) -> None:
    chat = await start_chat()
    kb.hold("年假五天。")
    async with agent(chat) as client:
        assert "未找到知识库 kb9" in await refusal(
            client, "ask", question="?", knowledge_base="kb9"
        )
    async with agent(chat, "kb:read") as client:
        assert "chat" in await refusal(client, "ask", question="年假？", knowledge_base="kb1")
        assert "未找到文件" in await refusal(
            client, "read_document", knowledge_base="kb1", file_name="no.md"
        )
        assert "top_k" in await refusal(
            client, "search", knowledge_base="kb1", query="年假", top_k=1_000
        )


async def test_who_may_not_read_gets_no_tools(start_chat: StartChat) -> None:
    chat = await start_chat()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    assert (await chat.post("/mcp", body, headers=caller_header("chat"))).status_code == 403
    assert (await chat.post("/mcp", body, headers={"X-Chat2LLM-Caller": ""})).status_code == 401
    assert (await chat.client.get("/mcp")).status_code == 405


async def test_leaving_ends_the_vendors_call(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(hang([event("你")]))
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "你好"}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    async with chat.client.stream("POST", "/mcp", json=body, headers=accept) as answer:
        assert answer.status_code == 200
        await until(lambda: len(vendor.requests) == 1)
    await until(vendor.requests[0].left.is_set)
    await until(lambda: sessions.turn.state == "interrupted")
