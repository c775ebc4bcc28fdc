"""The composition root of auth_service."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import anyio
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from auth_service import api
from auth_service.accounts import Accounts, put_operator_key
from auth_service.attempts import FailedAttempts, RedisLimiter
from auth_service.audit import AuditLog
from auth_service.bootstrap import ensure_secrets
from auth_service.errors import CredentialRefused
from auth_service.keys import MasterKey
from auth_service.registration import Registration
from auth_service.sessions import Sessions
from auth_service.settings import AuthSettings
from auth_service.sso import (
    CALLBACK,
    WECOM_CLIENT,
    DemoLogin,
    LoginStates,
    SingleSignOn,
    Watch,
    Ways,
    WeCom,
    WeComApp,
)
from auth_service.store.audit import AuditStore
from auth_service.store.credentials import Store
from auth_service.store.sso_states import SsoStates
from auth_service.tokens import TokenOpener
from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.errors import Unavailable
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

Clock = Callable[[], float]
_CLEANING_SECONDS = 3600


def create_app(settings: AuthSettings | None = None, *, clock: Clock = time.time) -> FastAPI:
    chosen = settings or AuthSettings.load()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("auth_service", chosen.log_level)
        async with (
            migrated_database(chosen) as database,
            aclosing(_wecom(chosen, clock)) as wecom,
            _failed_attempts(chosen, clock) as failures,
        ):
            audit = AuditLog(
                AuditStore(database), retention_days=chosen.audit_retention_days, clock=clock
            )
            states, sessions, opener = await _wire(
                app, chosen, database, Watch(failures, audit), wecom, clock
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(audit.run)
                tasks.start_soon(opener.warm_up)
                tasks.start_soon(
                    _forget_expired, states, sessions, chosen.token_expired_hours * 3600
                )
                yield
                tasks.cancel_scope.cancel()
            await audit.flush()

    app = build_app(title="Chat2LLM auth_service", lifespan=lifespan)
    for routes in api.routers:
        app.include_router(routes)
    app.add_exception_handler(CredentialRefused, api.render_refused)
    return app


@asynccontextmanager
async def migrated_database(settings: AuthSettings) -> AsyncIterator[Database]:
    """Our database, ready for use. Raises Unavailable when it cannot be used."""
    url = settings.auth_database_url or sqlite_url(settings.chat2llm_data / "auth" / "auth.db")
    database = Database(url, package="auth_service")
    try:
        await database.upgrade()
        yield database
    except DBAPIError as error:
        raise Unavailable(f"The database cannot be used. 数据库无法使用: {error.orig}") from error
    finally:
        await database.close()


async def _wire(
    app: FastAPI,
    settings: AuthSettings,
    database: Database,
    watch: Watch,
    wecom: WeCom,
    clock: Clock,
) -> tuple[LoginStates, Sessions, TokenOpener]:
    secrets = ensure_secrets(settings)
    master_key, store = MasterKey(secrets.master_key), Store(database)
    await Registration(store, master_key).check_keys()
    await put_operator_key(store, secrets.admin_key)
    sessions = Sessions(store, master_key.derive("session"), clock)
    opener = TokenOpener(master_key)
    states = LoginStates(SsoStates(database), master_key.derive("sso state"), clock)
    app.state.context = api.Context(
        accounts=Accounts(
            store,
            sessions,
            opener,
            token_seconds=settings.token_expired_hours * 3600,
            clock=clock,
        ),
        sso=SingleSignOn(
            store,
            sessions,
            states,
            ways=Ways(
                demo=DemoLogin(sessions, secrets.demo_secret) if settings.h5_demo_enabled else None,
                providers={WECOM_CLIENT: wecom},
            ),
            watch=watch,
            h5_address=settings.h5_address,
        ),
        audit=watch.audit,
        caller_key=secrets.caller_key,
        introspection_key=secrets.introspection_key,
    )
    app.state.caller_verifier = CallerVerifier(secrets.caller_key.public_key())
    app.state.ready_checks = (database.ping,)
    return states, sessions, opener


@asynccontextmanager
async def _failed_attempts(settings: AuthSettings, clock: Clock) -> AsyncIterator[FailedAttempts]:
    url = settings.redis_url.get_secret_value()
    redis = RedisLimiter(url, clock) if url else None
    try:
        yield FailedAttempts(settings.login_failures, clock, redis=redis)
    finally:
        if redis:
            await redis.close()


def _wecom(settings: AuthSettings, clock: Clock) -> WeCom:
    app = WeComApp(
        corp_id=settings.ent_wechat_corpid,
        agent_id=settings.ent_wechat_agentid,
        secret=settings.ent_wechat_appsecret.get_secret_value(),
        login_url=settings.ent_wechat_login_url,
        api_url=settings.ent_wechat_api_url,
        callback_url=settings.server_address + CALLBACK,
    )
    return WeCom(app, clock)


async def _forget_expired(states: LoginStates, sessions: Sessions, kept_seconds: float) -> None:
    while True:
        try:
            await states.forget_expired()
            await sessions.forget_expired(kept_seconds=kept_seconds)
        except SQLAlchemyError:  # tidying up may wait; logging in may not
            logging.getLogger(__name__).warning("old sessions stay for now", exc_info=True)
        await anyio.sleep(_CLEANING_SECONDS)
