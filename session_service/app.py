"""The composition root of session_service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs
from session_service import api
from session_service.models import Clock, utc_now
from session_service.settings import SessionSettings


def create_app(settings: SessionSettings | None = None, clock: Clock = utc_now) -> FastAPI:
    """The app; without settings it reads config.ini and the environment."""
    settings = settings or SessionSettings.load()
    data = settings.chat2llm_data

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("session_service", settings.log_level)
        app.state.caller_verifier = CallerVerifier.from_file(data / "keys" / "caller.pub")
        url = settings.session_database_url or sqlite_url(data / "session" / "session.db")
        database = Database(url, package="session_service", synchronous=settings.durability.upper())
        try:
            await database.upgrade()
            app.state.database = database
            app.state.ready_checks = (database.ping,)
            yield
        finally:
            await database.close()

    app = build_app(title="Chat2LLM sessions", lifespan=lifespan)
    app.state.clock = clock
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    app.routes.extend([*api.public.routes, *api.administration.routes, *api.internal.routes])
    return app
