"""Single tools of agents, which of them are allowed, and MCP servers."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_service.agent import graph
from chat_service.agent.entities import ToolFailed
from chat_service.agent.events import Answered, Used
from chat_service.agent.tools.calculator import calculate
from chat_service.agent.tools.clock import clock
from chat_service.agent.tools.mcp_servers import McpServers
from chat_service.agent_lists import (
    Allowed,
    AllowLists,
    McpServer,
    parse,
    parse_by_client,
    parse_servers,
)
from chat_service.history import Message
from chat_service.llm import Reply, Sampling
from chat_service.settings import ChatSettings
from tests.serving import served

TOKEN = "t-of-the-server"


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 1", "2"),
        ("（3＋4）× 6 ÷ 2", "21.0"),
        ("2^10", "1024"),
        ("-7 // 2 + 7 % 3", "-3"),
        ("0.1 + 0.2", "0.3"),
        ("sqrt(2) ** 2", "2.0"),
        ("round(pi, 3)", "3.142"),
        ("max(1, 2, 3) - min(4, 5)", "-1"),
        ("10 ** 100", "1" + "0" * 100),
        ("1e400", "inf"),
    ],
)
def test_calculations(expression: str, result: str) -> None:
    assert calculate(expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "hello",
        "1/0",
        "9**9**9**9",
        "2**100000",
        "10**999 * 10**999",
        "round(5, -(10**7))",
        "[1] * 10**9",
        "().__class__.__mro__",
        "__import__('os').system('id')",
        "(lambda: 1)()",
        "[x for x in range(10**9)]",
        "(-8) ** 0.5",
        "sqrt",
        "1 if 1 else 2",
        "exp(10000)",
        "(" * 250 + ")" * 250,
        "-" * 290 + "1x",
    ],
)
def test_what_is_no_arithmetic_or_too_much_of_it(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculate(expression)


@pytest.mark.parametrize("expression", ["'a' * 10**9", "'%1000000000d' % 5", "b'x'", "True", "1j"])
def test_only_numbers_are_looked_at(expression: str) -> None:
    """Text could be made as long as the memory before it turns out to be no number."""
    with pytest.raises(ToolFailed, match="only numbers"):
        calculate(expression)


async def test_the_time_in_a_zone() -> None:
    now = await clock().run(timezone="Asia/Shanghai")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d CST，星期. \(\w+day\)", now)
    assert "UTC" in await clock().run(timezone="UTC")
    for wrong in ("Nowhere/City", "../../etc/passwd", "/etc/passwd", "\x00"):
        with pytest.raises(ToolFailed):
            await clock().run(timezone=wrong)


def test_lines_of_a_tool_stay_within_their_fence() -> None:
    used = Used("x", {"a": 1, "b": "```"}, "```\n" + "长" * 3_000, failed=False)
    lines = used.lines()
    assert len(lines) == 6
    assert lines[3] == "工具输入: " + json.dumps({"a": 1, "b": "'''"})
    assert lines[4].startswith("工具输出: '''\n长")
    assert len(lines[4]) < 2_010
    assert lines[4].endswith("…")


def test_allow_lists() -> None:
    lists = AllowLists("calculator, time, mcp:docs", "7: none; 9: mcp:crm/find, mcp:crm/list")
    assert lists.of("1") == Allowed(frozenset({"calculator", "time"}), {"docs": None})
    assert lists.of("7") == Allowed(frozenset(), {})
    assert lists.of("9").servers == {"crm": frozenset({"find", "list"})}
    assert parse("mcp:crm/find, mcp:crm").servers == {"crm": None}
    for wrong in ("shell", "mcp:", "mcp:a b"):
        with pytest.raises(ValueError, match="none of"):
            parse(wrong)
    with pytest.raises(ValueError, match="CLIENT_ID"):
        parse_by_client("calculator")
    servers = parse_servers("docs=https://a.example/mcp, crm=http://b.example", f"crm={TOKEN}")
    assert servers == [
        McpServer("docs", "https://a.example/mcp"),
        McpServer("crm", "http://b.example", TOKEN),
    ]
    assert TOKEN not in repr(servers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"agent_tools": "shell"},
        {"agent_tools_by_client": "x: time"},
        {"mcp_servers": "docs=stdio:run-this"},
        {"mcp_servers": "rm -rf=https://a.example"},
        {"mcp_tokens": "nobody=x"},
        {"default_search_engine": "x"},
    ],
)
def test_settings_that_stop_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"none of|应为|没有|pattern"):
        ChatSettings(**wrong)  # type: ignore[arg-type]  # names as config.ini has them


class Gate:
    """An MCP server behind a token, which counts what it is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests += 1
            headers = dict(scope["headers"])
            if headers.get(b"authorization") != f"Bearer {TOKEN}".encode():
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[tuple[str, Gate]]:
    elsewhere = tmp_path / "schema.json"
    elsewhere.write_text('{"type": "integer"}')
    schema = {"type": "object", "properties": {"name": {"$ref": elsewhere.as_uri()}}}
    refer = Tool.from_function(lambda name: name, name="refer")
    server = MCPServer("crm", tools=[refer.model_copy(update={"parameters": schema})])

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def find_customer(name: str, limit: int = 3) -> str:
        """Finds a customer."""
        if name == "slow":
            await asyncio.sleep(60)
        if name == "fail":
            raise ToolError("no such table")
        return f"{name} 有 {limit} 份合同"

    @server.tool()
    def delete_customer(name: str) -> str:
        return f"{name} 已删除"

    gate = Gate(server.streamable_http_app(stateless_http=True))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(gate))
        yield f"{url}/mcp", gate


class Listening:
    """A model that keeps which tools it was offered."""

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        self.offered = sampling.more["tools"]
        yield ["好"]


async def test_tools_of_an_mcp_server(remote: tuple[str, Gate]) -> None:
    url, gate = remote
    servers = McpServers([McpServer("crm", url, TOKEN)])
    (find,) = await servers.tools("crm", None)
    assert (find.name, find.label) == ("crm__find_customer", "crm/find_customer")
    assert find.description == "Finds a customer."
    assert await find.run(name="天王星") == "天王星 有 3 份合同"
    for wrong in ({"name": 5}, {"name": "x", "limit": "many"}, {}):
        asked = gate.requests
        with pytest.raises(ToolFailed, match="参数有误"):
            await find.run(**wrong)
        assert gate.requests == asked
    with pytest.raises(ToolFailed, match="no such table"):
        await find.run(name="fail")
    asked = gate.requests
    (delete,) = await servers.tools("crm", {"delete_customer"})  # chosen by name
    assert delete.name == "crm__delete_customer"
    assert gate.requests == asked  # the list is kept


@pytest.mark.filterwarnings("ignore:Automatically retrieving")  # as where it runs
async def test_what_a_schema_refers_to_is_not_fetched(
    remote: tuple[str, Gate], caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = remote
    servers = McpServers([McpServer("crm", url, TOKEN)])
    refer, delete = await servers.tools("crm", {"refer", "delete_customer"})
    assert (refer.name, delete.name) == ("crm__refer", "crm__delete_customer")
    with pytest.raises(ToolFailed, match="refers elsewhere"):
        await refer.run(name="x")
    model = Listening()
    answer = graph.run(model, Sampling(), [refer, delete], [], system="?", steps=2)
    assert [event.text async for event in answer if isinstance(event, Answered)] == ["好"]
    assert [tool["function"]["name"] for tool in model.offered] == [delete.name]
    assert "crm__refer is left out" in caplog.text


async def test_leaving_ends_the_call_of_an_mcp_tool(remote: tuple[str, Gate]) -> None:
    url, _ = remote
    (find,) = await McpServers([McpServer("crm", url, TOKEN)]).tools("crm", None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await find.run(name="slow")


async def test_an_mcp_server_that_is_away_or_refuses(
    remote: tuple[str, Gate], caplog: pytest.LogCaptureFixture
) -> None:
    url, gate = remote
    bad: list[Any] = [
        McpServer("crm", url, "wrong-token-of-ours"),
        McpServer("crm", "http://127.0.0.1:1/mcp"),
    ]
    for server in bad:
        servers = McpServers([server])
        assert await servers.tools("crm", None) == []
        asked = gate.requests
        assert await servers.tools("crm", None) == []
        assert gate.requests == asked  # the next answer does not wait for it again
    assert await McpServers([]).tools("crm", None) == []
    assert "left out" in caplog.text
    assert "wrong-token-of-ours" not in caplog.text
