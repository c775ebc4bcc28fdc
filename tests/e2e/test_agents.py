"""Agents over `/mcp` of the whole product, with MCP's official client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.chat_service.test_mcp import call, refusal
from tests.e2e.conftest import Scripted
from tests.fakes.vendor import tokens

KB, TEXT = "agents-e2e", "员工入职满一年，年假有五天。"


@asynccontextmanager
async def agent(scripted: Scripted, key: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{scripted.stack.url}/mcp", http_client=http)) as client,
    ):
        yield client


async def test_an_agent_finds_reads_and_asks(scripted: Scripted) -> None:
    await scripted.knowledge_base(KB, 手册=TEXT)
    await scripted.knowledge_base(f"{KB}-2", 别的="茶在三楼")
    owner = await anyio.to_thread.run_sync(scripted.stack.add_client, "agents")
    may = {"client_id": int(owner.id), "knowledge_bases": [KB]}
    async with agent(scripted, await scripted.api_key("chat", "kb:read", **may)) as client:
        (listed,) = await call(client, "list_knowledge_bases")
        assert listed == {"name": KB, "title": KB, "about": "", "files": 1}
        (found,) = await call(client, "search", knowledge_base=KB, query="年假有几天？")
        assert (found["file_name"], found["content"]) == ("手册.txt", TEXT)
        read = await call(client, "read_document", knowledge_base=KB, file_name="手册.txt")
        assert read == {"text": TEXT, "next": None}
        scripted.vendor.then(tokens(["五天 ", "[1]"]))
        answer = await call(client, "ask", question="年假有几天？", knowledge_base=KB)
        assert answer["text"] == "五天 [1]"
        assert answer["citations"] == [{"number": 1, "file_name": "手册.txt", "content": TEXT}]
        unseen, unknown = [
            await refusal(client, "search", knowledge_base=name, query="茶")
            for name in (f"{KB}-2", "nothing")
        ]
        assert unseen == unknown.replace("nothing", f"{KB}-2")
    async with agent(scripted, await scripted.api_key("kb:read", **may)) as client:
        assert "chat" in await refusal(client, "ask", question="年假有几天？")


@pytest.mark.parametrize("scopes", [None, ["chat"]], ids=["bad key", "no right to read"])
async def test_who_may_not_read_gets_no_tools(scripted: Scripted, scopes: list[str] | None) -> None:
    key = "c2l-no-such-key" if scopes is None else await scripted.api_key(*scopes)
    answer = await scripted.client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"},
    )
    assert answer.status_code == (401 if scopes is None else 403)
