"""The modes of chat that nobody stores, through the gateway, as their clients read them."""

import asyncio
import json
from typing import Any

import httpx

from tests.chat_service.conftest import parse_read
from tests.fakes.vendor import VendorServer, event, hang, tokens, tool_calls
from tests.fakes.web import WebServer

_FAQ = "年假满一年有五天。"
_KB = "modes"


async def check_unstored_modes(
    client: httpx.AsyncClient, vendor: VendorServer, internet: WebServer
) -> None:
    await _web(client, vendor, internet)
    await _agent(client, vendor)
    await _raw_text(client, vendor)
    await _refusals(client)


async def _web(client: httpx.AsyncClient, vendor: VendorServer, internet: WebServer) -> None:
    page = {"title": "T", "url": "https://a.example/", "content": "五天"}
    internet.put("/search", {"results": [page]})
    vendor.then(tokens(["五", "天"]))
    asked = {"query": "年假几天", "search_engine_name": "searxng", "stream": True}
    docs = "出处 [1] [https://a.example/](https://a.example/) \n\n五天\n\n"
    assert await _objects(client, "/api/chat/search_engine_chat", asked) == [
        {"answer": "五"},
        {"answer": "天"},
        {"docs": [docs]},
    ]


async def _agent(client: httpx.AsyncClient, vendor: VendorServer) -> None:
    """Its tools read with the caller's own rights, from the real kb_service."""
    new = {"knowledge_base_name": _KB, "kb_zh_name": "制度", "kb_info": ""}
    await client.post("/knowledge_base/create_knowledge_base", json=new)
    uploaded = await client.post(
        "/knowledge_base/upload_docs",
        data={"knowledge_base_name": _KB},
        files={"files": ("faq.txt", _FAQ)},
    )
    assert uploaded.json()["data"] == {"failed_files": {}}
    call = ("search_knowledge", {"knowledge_base": _KB, "query": "年假几天"})
    vendor.then(tool_calls(call), tokens(["五天"]))
    asked = {"query": "年假几天", "stream": True}
    used, answer, final = await _objects(client, "/api/chat/agent_chat", asked)
    assert used["tools"][1:3] == ["工具名称: 知识库查询工具", "工具状态: 调用成功"]
    assert _FAQ in used["tools"][4]
    assert (answer, final) == ({"answer": "五天"}, {"final_answer": "五天"})


async def _raw_text(client: httpx.AsyncClient, vendor: VendorServer) -> None:
    for path, body in (
        ("/chat/fastchat", {"messages": [{"content": "你好"}]}),
        ("/other/completion", {"query": "你好"}),
    ):
        vendor.then(hang([event("一")]))
        async with client.stream("POST", path, json=body | {"stream": True}) as answer:
            assert await anext(answer.aiter_raw()) == "一".encode()
        async with asyncio.timeout(1):
            await vendor.requests[-1].left.wait()


async def _refusals(client: httpx.AsyncClient) -> None:
    asked = {"query": "q", "search_engine_name": "谷歌", "stream": True}
    unknown = await client.post("/chat/search_engine_chat", json=asked)
    assert unknown.text == '{"code":404,"msg":"未支持搜索引擎 谷歌","data":null}'
    for path in ("/chat/agent_chat", "/other/completion", "/llm_model/stop"):
        assert (await client.post(path, json={}, headers={"Authorization": ""})).status_code == 401


async def _objects(
    client: httpx.AsyncClient, path: str, asked: dict[str, Any]
) -> list[dict[str, Any]]:
    """Each read is parsed alone, as the published client does."""
    found: list[dict[str, Any]] = []
    async with client.stream("POST", path, json=asked) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        async for read in answer.aiter_raw():
            found += parse_read(read)
    return [each for each in found if json.dumps(each) != '{"answer": ""}']
