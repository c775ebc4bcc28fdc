"""Tools of the MCP servers that the operator lists, over streamable HTTP; imported lazily."""

import json
import logging
import re
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from chat_service.agent.entities import Tool, ToolFailed
from chat_service.agent_lists import McpServer

if TYPE_CHECKING:
    from mcp import Client
    from mcp import Tool as RemoteTool

_LIST_WITHIN = 10
_CALL_WITHIN = 25
_KEPT = 300.0
_KEPT_AWAY = 30.0  # until then no answer waits for it again
_MOST_TOOLS = 30
_MOST_PAGES = 10
_LONGEST_DESCRIPTION = 1_000
_LONGEST_SCHEMA = 8_000
_LONGEST_RESULT = 20_000
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_-]")

logger = logging.getLogger(__name__)


class McpServers:
    """The servers, whose lists of tools are kept for a few minutes."""

    def __init__(self, servers: Sequence[McpServer]) -> None:
        self._servers = {server.name: server for server in servers}
        self._listed: dict[str, tuple[float, list[RemoteTool]]] = {}

    async def tools(self, server_name: str, chosen: Collection[str] | None) -> list[Tool]:
        """The chosen ones; None for all that say that they only read. A server away has none."""
        server = self._servers.get(server_name)
        if server is None:
            return []
        remote = await self._remote(server)
        return [
            _tool(server, found)
            for found in remote
            if (found.name in chosen if chosen is not None else _only_reads(found))
        ]

    async def _remote(self, server: McpServer) -> "list[RemoteTool]":
        kept = self._listed.get(server.name)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        kept_for = _KEPT
        try:
            found = await _list(server)
        except ToolFailed:
            logger.warning("the MCP server %s is left out", server.name)
            kept_for, found = _KEPT_AWAY, []
        self._listed[server.name] = (time.monotonic() + kept_for, found)
        return found


def _only_reads(tool: "RemoteTool") -> bool:
    return bool(tool.annotations and tool.annotations.read_only_hint)


def _tool(server: McpServer, remote: "RemoteTool") -> Tool:
    async def run(**arguments: Any) -> str:
        return await _call(server, remote, arguments)

    name = _NOT_OF_A_NAME.sub("_", f"{server.name}__{remote.name}")[:64]
    return Tool(
        name=name,
        label=f"{server.name}/{remote.name}",
        description=(remote.description or remote.name)[:_LONGEST_DESCRIPTION],
        arguments={**remote.input_schema, "title": name},
        run=run,
        sends_out=True,
    )


async def _list(server: McpServer) -> "list[RemoteTool]":
    found: list[RemoteTool] = []
    async with _connected(server, within=_LIST_WITHIN) as client:
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += [tool for tool in page.tools if len(str(tool.input_schema)) <= _LONGEST_SCHEMA]
            cursor = page.next_cursor
            if not cursor or len(found) >= _MOST_TOOLS:
                break
    return found[:_MOST_TOOLS]


async def _call(server: McpServer, remote: "RemoteTool", arguments: dict[str, Any]) -> str:
    from jsonschema import ValidationError, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    schema = remote.input_schema
    # With an empty registry a schema cannot make us fetch what its references name.
    validator = validators.validator_for(schema)(schema, registry=Registry())
    try:
        validator.validate(arguments)
    except ValidationError as error:
        raise ToolFailed(f"wrong arguments 参数有误: {error.message[:200]}") from None
    except Unresolvable:
        raise ToolFailed("its schema refers elsewhere 工具的参数定义引用了外部内容") from None
    async with _connected(server, within=_CALL_WITHIN) as client:
        result = await client.call_tool(remote.name, arguments)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if not text and result.structured_content:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    if result.is_error:
        raise ToolFailed(text[:500] or "the tool failed 工具调用失败")
    return text[:_LONGEST_RESULT]


@asynccontextmanager
async def _connected(server: McpServer, *, within: float) -> "AsyncIterator[Client]":
    """A client for so many seconds. Raises ToolFailed."""
    try:
        with anyio.fail_after(within):
            # Importing takes a second of CPU the first time.
            client_of = await anyio.to_thread.run_sync(_import)
            async with client_of(server) as client:
                yield client
    except Exception:  # a boundary: transport, protocol and validation, many classes and groups
        logger.warning("the MCP server %s failed", server.name, exc_info=True)
        raise ToolFailed("the MCP server did not answer MCP 服务无响应") from None


def _import() -> Any:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    @asynccontextmanager
    async def connect(server: McpServer) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
        timeout = httpx2.Timeout(_CALL_WITHIN, connect=5)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            yield client

    return connect
