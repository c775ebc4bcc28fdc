"""`/mcp`: the tools for agents, over MCP's streamable HTTP without sessions."""

import logging
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from chat_service.mcp_tools import Tools, build_server
from chat_service.metering import account
from chat_service.usage_entities import Account
from servicekit.identity import CallerDep, require_scope

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

router = APIRouter(tags=["mcp"], dependencies=[require_scope("kb:read")])
_MESSAGES: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON-RPC 2.0 messages", "content": {"text/event-stream": {}}}
}


@router.post(
    "/mcp",
    summary="Tools for agents: JSON-RPC messages of MCP",
    response_class=Response,
    responses=_MESSAGES,
)
async def mcp(request: Request, caller: CallerDep) -> Response:
    account.set(Account(caller.client_id, caller.user_id, "mcp"))
    endpoint: McpEndpoint = request.app.state.mcp
    return _Exchange(endpoint)


class McpEndpoint:
    """One request, one transport: nothing is kept between requests, so any copy may answer.

    Whatever a request started ends with it, also when the agent leaves in the middle.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._server: Server | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._server is None:  # the import takes a third of a second
            self._server = await anyio.to_thread.run_sync(_build, self._tools)
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        manager = StreamableHTTPSessionManager(self._server, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)


class _Exchange(Response):
    """Leaves the request and its answer to the library."""

    def __init__(self, endpoint: McpEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint.handle(scope, receive, send)


def _build(tools: Tools) -> "Server":
    server = build_server(tools)
    server.streamable_http_app(stateless_http=True)
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of each transport's start and end
    return server.session_manager.app
