"""What the routes need of a request and of the process."""

from typing import Annotated

from fastapi import Depends, Request

from chat_service.agent.chat import AgentChat
from chat_service.answer import Answering
from chat_service.completion import Completions
from chat_service.metering import account
from chat_service.usage_entities import Account
from chat_service.vendors import Vendors
from chat_service.web_chat import WebChat
from chat_service.web_search.choice import WebSearch
from servicekit.identity import CALLER_HEADER, Caller, require_scope


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _may_chat(request: Request, caller: Annotated[Caller, require_scope("chat")]) -> Caller:
    """Whoever may, pays."""
    account.set(Account(caller.client_id, caller.user_id, request.url.path.strip("/")))
    return caller


may_chat = Depends(_may_chat)


async def _caller_header(request: Request, _: Annotated[Caller, may_chat]) -> str:
    return request.headers[CALLER_HEADER]


async def _answering(request: Request) -> Answering:
    answering: Answering = request.app.state.answering
    return answering


async def _vendors(request: Request) -> Vendors:
    vendors: Vendors = request.app.state.vendors
    return vendors


async def _web_chat(request: Request) -> WebChat:
    web_chat: WebChat = request.app.state.web_chat
    return web_chat


async def _web_search(request: Request) -> WebSearch:
    web_search: WebSearch = request.app.state.web_search
    return web_search


async def _completions(request: Request) -> Completions:
    completions: Completions = request.app.state.completions
    return completions


async def _agent_chat(request: Request) -> AgentChat:
    agent_chat: AgentChat = request.app.state.agent_chat
    return agent_chat


CallerHeader = Annotated[str, Depends(_caller_header)]
AnsweringDep = Annotated[Answering, Depends(_answering)]
VendorsDep = Annotated[Vendors, Depends(_vendors)]
WebChatDep = Annotated[WebChat, Depends(_web_chat)]
WebSearchDep = Annotated[WebSearch, Depends(_web_search)]
CompletionsDep = Annotated[Completions, Depends(_completions)]
AgentChatDep = Annotated[AgentChat, Depends(_agent_chat)]
