"""The composition root of chat_service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)

from fastapi import FastAPI

from chat_service.answer import Answering
from chat_service.api import chat, completion, mcp, search, server
from chat_service.api.mcp import McpEndpoint
from chat_service.clients import KbClient, SessionClient
from chat_service.completion import Completions
from chat_service.llm.choice import VendorModels
from chat_service.llm.guard import Deadlines
from chat_service.mcp_tools import Tools
from chat_service.outbox import Outbox
from chat_service.outside import Outside
from chat_service.settings import ChatSettings
from chat_service.store import OutboxStore
from chat_service.vendors import Vendors
from chat_service.web_chat import WebChat
from chat_service.web_search.choice import WebSearch
from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.http import ServiceClient, open_session
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

_LAST_ANSWERS = 6.0  # seconds for streams that the server cancelled to be stored


def create_app(settings: ChatSettings | None = None) -> FastAPI:
    settings = settings or ChatSettings.load()
    app = build_app(title="Chat2LLM chat_service", lifespan=_lifespan(settings))
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    app.routes.extend(chat.router.routes)
    app.routes.extend(search.router.routes)
    app.routes.extend(completion.router.routes)
    app.routes.extend(server.router.routes)
    app.routes.extend(mcp.router.routes)
    return app


def _lifespan(settings: ChatSettings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("chat_service", settings.log_level)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session())
            url = settings.chat_database_url or sqlite_url(
                settings.chat2llm_data / "chat" / "chat.db"
            )
            database = Database(url, package="chat_service")
            stack.push_async_callback(database.close)
            await database.upgrade()
            keys = settings.chat2llm_data / "keys"
            sessions = SessionClient(
                ServiceClient(session, settings.session_service, name="session_service")
            )
            outbox = Outbox(OutboxStore(database), sessions)
            vendors = Vendors(settings)
            models = VendorModels(
                vendors,
                session,
                connect_timeout=settings.llm_connect_timeout,
                deadlines=Deadlines(
                    settings.llm_first_token_timeout,
                    settings.llm_token_timeout,
                    settings.llm_total_timeout,
                ),
            )
            stack.push_async_callback(models.close)
            app.state.caller_verifier = CallerVerifier.from_file(keys / "caller.pub")
            app.state.ready_checks = (database.ping,)
            app.state.vendors = vendors
            app.state.server_address = settings.server_address
            kb = KbClient(ServiceClient(session, settings.kb_service, name="kb_service"))
            app.state.answering = Answering(
                sessions=sessions,
                kb=kb,
                models=models,
                outbox=outbox,
                context_tokens=settings.context_tokens,
            )
            app.state.mcp = McpEndpoint(Tools(kb, app.state.answering, app.state.caller_verifier))
            outside = Outside()
            stack.push_async_callback(outside.close)
            app.state.web_search = WebSearch(settings, outside)
            budget = settings.context_tokens
            app.state.web_chat = WebChat(app.state.web_search, models, context_tokens=budget)
            app.state.completions = Completions(models, context_tokens=budget)
            worker = asyncio.create_task(outbox.run())
            try:
                yield
            finally:
                await outbox.idle(within=_LAST_ANSWERS)
                worker.cancel()
                with suppress(asyncio.CancelledError):
                    await worker

    return lifespan
