"""What the routes need of a request and of the process."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from chat_service.agent.chat import AgentChat
from chat_service.answer import Answering
from chat_service.completion import Completions
from chat_service.metering import account
from chat_service.prompt_registry import Prompts
from chat_service.usage_entities import Account
from chat_service.vendors import Vendors
from chat_service.web_chat import WebChat
from chat_service.web_search.choice import WebSearch
from servicekit.errors import EnvelopeRoute
from servicekit.identity import CALLER_HEADER, Caller, CallerDep, require_scope


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _may_chat(request: Request, caller: Annotated[Caller, require_scope("chat")]) -> Caller:
    """Whoever may, pays."""
    account.set(Account(caller.client_id, caller.user_id, request.url.path.strip("/")))
    return caller


may_chat = Depends(_may_chat)


async def _caller_header(request: Request, _: Annotated[Caller, may_chat]) -> str:
    return request.headers[CALLER_HEADER]


def streaming_routes(responses: dict[int | str, dict[str, Any]]) -> APIRouter:
    """A router for chat routes of the old wire."""
    return APIRouter(
        tags=["chat"],
        route_class=EnvelopeRoute,
        dependencies=[may_chat],
        default_response_class=Response,
        responses=responses,
    )


async def _actor(caller: CallerDep) -> str:
    return f"{caller.client_id}/{caller.user_id}"


def kept(name: str) -> Any:
    """What the process keeps under that name in `app.state`."""

    async def find(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(find)


CallerHeader = Annotated[str, Depends(_caller_header)]
ActorDep = Annotated[str, Depends(_actor)]
AnsweringDep = Annotated[Answering, kept("answering")]
VendorsDep = Annotated[Vendors, kept("vendors")]
PromptsDep = Annotated[Prompts, kept("prompts")]
WebChatDep = Annotated[WebChat, kept("web_chat")]
WebSearchDep = Annotated[WebSearch, kept("web_search")]
CompletionsDep = Annotated[Completions, kept("completions")]
AgentChatDep = Annotated[AgentChat, kept("agent_chat")]
ServerAddress = Annotated[str, kept("server_address")]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(ge=1, le=200)]
