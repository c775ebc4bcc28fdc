"""The composition root of chat_service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)

import aiohttp
from fastapi import FastAPI

from chat_service.answer import Answering
from chat_service.api import router
from chat_service.clients import KbClient, SessionClient
from chat_service.llm import ChatModel
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.outbox import Outbox
from chat_service.settings import ChatSettings
from chat_service.store import OutboxStore
from chat_service.vendors import Vendor, Vendors
from servicekit.app import build_app
from servicekit.database import Database
from servicekit.http import ServiceClient, open_session
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

_CONDENSE_WITHIN = 15.0


class VendorModels:
    """The models of the configured vendors, each made when first asked for."""

    def __init__(
        self,
        vendors: Vendors,
        settings: ChatSettings,
        session: aiohttp.ClientSession,  # noqa: TID251 - its type only, the kit makes it
    ) -> None:
        self._settings, self._session = settings, session
        self.choose = vendors.choose
        self._circuits: dict[str, Circuit] = {}
        self._answering: dict[str, ChatModel] = {}
        self._condensing: dict[str, ChatModel] = {}
        self._opened: list[LangChainModel] = []

    def answering(self, vendor: Vendor) -> ChatModel:
        if vendor.name not in self._answering:
            connect = self._settings.llm_connect_timeout
            model = LeanModel(self._session, vendor, connect_timeout=connect)
            deadlines = Deadlines(
                self._settings.llm_first_token_timeout,
                self._settings.llm_token_timeout,
                self._settings.llm_total_timeout,
            )
            self._answering[vendor.name] = GuardedModel(model, deadlines, self._circuit(vendor))
        return self._answering[vendor.name]

    def condensing(self, vendor: Vendor) -> ChatModel:
        if vendor.name not in self._condensing:
            model = LangChainModel(vendor, connect_timeout=self._settings.llm_connect_timeout)
            self._opened.append(model)
            deadlines = Deadlines(_CONDENSE_WITHIN, _CONDENSE_WITHIN, _CONDENSE_WITHIN)
            self._condensing[vendor.name] = GuardedModel(model, deadlines, self._circuit(vendor))
        return self._condensing[vendor.name]

    async def close(self) -> None:
        for model in self._opened:
            await model.close()

    def _circuit(self, vendor: Vendor) -> Circuit:
        return self._circuits.setdefault(vendor.name, Circuit())


def create_app(settings: ChatSettings | None = None) -> FastAPI:
    settings = settings or ChatSettings.load()
    app = build_app(title="Chat2LLM chat_service", lifespan=_lifespan(settings))
    app.include_router(router)
    return app


def _lifespan(settings: ChatSettings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("chat_service", settings.log_level)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session())
            database = Database(settings.database_url, package="chat_service")
            stack.push_async_callback(database.close)
            await database.upgrade()
            keys = settings.chat2llm_data / "keys"
            sessions = SessionClient(
                ServiceClient(session, settings.session_service, name="session_service")
            )
            outbox = Outbox(OutboxStore(database), sessions)
            vendors = Vendors(settings)
            models = VendorModels(vendors, settings, session)
            stack.push_async_callback(models.close)
            app.state.caller_verifier = CallerVerifier.from_file(keys / "caller.pub")
            app.state.ready_checks = (database.ping,)
            app.state.vendors = vendors
            app.state.server_address = settings.server_address
            app.state.answering = Answering(
                sessions=sessions,
                kb=KbClient(ServiceClient(session, settings.kb_service, name="kb_service")),
                models=models,
                outbox=outbox,
                context_tokens=settings.context_tokens,
            )
            worker = asyncio.create_task(outbox.run())
            try:
                yield
            finally:
                worker.cancel()
                with suppress(asyncio.CancelledError):
                    await worker

    return lifespan
