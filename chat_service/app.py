"""The composition root of chat_service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)

from fastapi import FastAPI

from chat_service.agent.chat import AgentChat, Limits
from chat_service.agent.toolbox import Toolbox
from chat_service.agent.tools.inquiries import WeatherService
from chat_service.agent.tools.mcp_servers import McpServers
from chat_service.agent_lists import AllowLists, parse_servers
from chat_service.answer import Answering
from chat_service.api import (
    agent,
    chat,
    completion,
    llm_models,
    mcp,
    models,
    openai,
    prompts,
    search,
    server,
    usage,
    words,
)
from chat_service.api.mcp import McpEndpoint
from chat_service.chat_completions import ChatCompletions
from chat_service.clients import KbClient, SessionClient
from chat_service.completion import Completions
from chat_service.llm.choice import VendorModels
from chat_service.llm.guard import Deadlines
from chat_service.mcp_tools import Tools
from chat_service.metering import Meter
from chat_service.moderation import ModerationEndpoint
from chat_service.outbox import CHECKPOINT_SECONDS, Outbox
from chat_service.outside import Outside
from chat_service.prompt_registry import Prompts
from chat_service.registry import ModelRegistry
from chat_service.repeating import repeat
from chat_service.screening import Screen
from chat_service.sealing import master_key
from chat_service.settings import ChatSettings
from chat_service.store import ModelStore, OutboxStore, PromptStore, UsageStore, WordStore
from chat_service.vendors import Vendors
from chat_service.web_chat import WebChat
from chat_service.web_search.choice import WebSearch
from chat_service.word_lists import WordLists
from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.http import ServiceClient, open_session
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

_SURFACES = (
    *(chat, search, agent, completion, llm_models, server),
    *(mcp, openai),
    *(models, usage, prompts, words),
)
_CAUGHT_UP_EVERY = 2.0  # seconds
_WRITTEN_EVERY = 1.0
_SWEPT_EVERY = 3600.0
_LAST_ANSWERS = 6.0  # seconds for streams that the server cancelled to be stored


def create_app(settings: ChatSettings | None = None) -> FastAPI:
    settings = settings or ChatSettings.load()
    app = build_app(title="Chat2LLM chat_service", lifespan=_lifespan(settings))
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    for surface in _SURFACES:
        app.routes.extend(surface.router.routes)
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
            registry = _registry(settings, vendors, database)
            await registry.load()
            prompts = app.state.prompts = await _prompts(settings, database)
            outside = Outside()
            stack.push_async_callback(outside.close)
            meter, screen = await _bounds(app, settings, database, vendors, outside)
            vendor_models = VendorModels(
                vendors,
                session,
                meter=meter,
                screen=screen,
                connect_timeout=settings.llm_connect_timeout,
                deadlines=_deadlines(settings),
            )
            stack.push_async_callback(vendor_models.close)
            app.state.caller_verifier = CallerVerifier.from_file(keys / "caller.pub")
            app.state.ready_checks = (database.ping,)
            app.state.vendors, app.state.registry = vendors, registry
            app.state.models = vendor_models
            app.state.server_address = settings.server_address
            app.state.chunking = (settings.chunk_size, settings.chunk_overlap)
            kb = KbClient(ServiceClient(session, settings.kb_service, name="kb_service"))
            app.state.answering = Answering(
                sessions=sessions,
                kb=kb,
                models=vendor_models,
                outbox=outbox,
                context_tokens=settings.context_tokens,
                prompts=prompts,
                no_answer=settings.kb_no_answer,
            )
            app.state.mcp = McpEndpoint(Tools(kb, app.state.answering, app.state.caller_verifier))
            app.state.chat_completions = ChatCompletions(
                answering=app.state.answering, models=vendor_models, kb=kb
            )
            _add_unstored_modes(app, settings, vendor_models, kb, outside)
            workers = _start_workers(outbox, registry, prompts, screen, meter)
            try:
                yield
            finally:
                await outbox.idle(within=_LAST_ANSWERS)
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    return lifespan


def _start_workers(
    outbox: Outbox, registry: ModelRegistry, prompts: Prompts, screen: Screen, meter: Meter
) -> list[asyncio.Task[None]]:
    return [
        asyncio.create_task(work)
        for work in (
            repeat(outbox.checkpoint, every=CHECKPOINT_SECONDS),
            repeat(outbox.deliver, every=CHECKPOINT_SECONDS),
            repeat(registry.catch_up, every=_CAUGHT_UP_EVERY),
            repeat(prompts.catch_up, every=_CAUGHT_UP_EVERY),
            repeat(screen.catch_up, every=_CAUGHT_UP_EVERY),
            repeat(meter.load, every=_CAUGHT_UP_EVERY),
            repeat(screen.write, every=_WRITTEN_EVERY, at_the_end=True),
            repeat(meter.write, every=_WRITTEN_EVERY, at_the_end=True),
            repeat(screen.sweep, every=_SWEPT_EVERY),
            repeat(meter.sweep, every=_SWEPT_EVERY),
        )
    ]


def _registry(settings: ChatSettings, vendors: Vendors, database: Database) -> ModelRegistry:
    path = settings.chat2llm_data / "chat" / "master.key"
    sealed_with = master_key(settings.master_key.get_secret_value(), path)
    return ModelRegistry(ModelStore(database), vendors, sealed_with)


async def _prompts(settings: ChatSettings, database: Database) -> Prompts:
    prompts = Prompts(PromptStore(database), settings.prompts_folder)
    await prompts.load()
    return prompts


async def _bounds(
    app: FastAPI, settings: ChatSettings, database: Database, vendors: Vendors, outside: Outside
) -> tuple[Meter, Screen]:
    """How much may be used, and what may be asked and said."""
    app.state.usage, app.state.words = UsageStore(database), WordStore(database)
    meter = app.state.meter = _meter(settings, app.state.usage, vendors)
    await meter.load()
    screen = await _screen(settings, app.state.words, outside)
    app.state.word_lists = WordLists(app.state.words, screen)
    return meter, screen


async def _screen(settings: ChatSettings, store: WordStore, outside: Outside) -> Screen:
    moderation = None
    if settings.moderation_api_base_url:
        moderation = ModerationEndpoint(
            outside,
            settings.moderation_api_base_url.rstrip("/"),
            api_key=settings.moderation_api_api_key.get_secret_value(),
            model=settings.moderation_api_model,
        )
    screen = Screen(store, moderation, retention_days=settings.usage_retention_days)
    await screen.load()
    return screen


def _meter(settings: ChatSettings, usage: UsageStore, vendors: Vendors) -> Meter:
    return Meter(
        usage,
        vendors,
        client_daily=settings.quota_client_daily_tokens,
        user_daily=settings.quota_user_daily_tokens,
        retention_days=settings.usage_retention_days,
    )


def _deadlines(settings: ChatSettings) -> Deadlines:
    return Deadlines(
        settings.llm_first_token_timeout, settings.llm_token_timeout, settings.llm_total_timeout
    )


def _add_unstored_modes(
    app: FastAPI, settings: ChatSettings, models: VendorModels, kb: KbClient, outside: Outside
) -> None:
    budget, prompts = settings.context_tokens, app.state.prompts
    search = app.state.web_search = WebSearch(settings, outside)
    app.state.web_chat = WebChat(search, models, prompts, context_tokens=budget)
    app.state.completions = Completions(models, prompts, context_tokens=budget)
    app.state.agent_chat = AgentChat(
        _toolbox(settings, kb, search, outside),
        models,
        prompts,
        Limits(steps=settings.agent_steps, seconds=settings.agent_timeout, context_tokens=budget),
    )


def _toolbox(settings: ChatSettings, kb: KbClient, search: WebSearch, outside: Outside) -> Toolbox:
    tokens = settings.mcp_tokens.get_secret_value()
    return Toolbox(
        allowed=AllowLists(settings.agent_tools, settings.agent_tools_by_client),
        kb=kb,
        search=search,
        outside=outside,
        mcp=McpServers(parse_servers(settings.mcp_servers, tokens)),
        weather=WeatherService(
            settings.weather_url,
            settings.weather_geocoding_url,
            settings.weather_api_key.get_secret_value(),
        ),
        wolfram_url=settings.wolfram_url,
        wolfram_appid=settings.wolfram_appid.get_secret_value(),
    )
