"""The composition root of auth_service."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from auth_service import api
from auth_service.accounts import Accounts, put_operator_key
from auth_service.administration import administration
from auth_service.admins import LOCK, Admins, Strangers
from auth_service.attempts import FailedAttempts, RedisLimiter
from auth_service.audit import AuditLog
from auth_service.bootstrap import Secrets, ensure_secrets
from auth_service.hosts import HostApps
from auth_service.keys import MasterKey
from auth_service.passwords import Passwords
from auth_service.sessions import Sessions
from auth_service.settings import AuthSettings
from auth_service.sso import (
    CALLBACK,
    WECOM_CLIENT,
    DemoLogin,
    LoginStates,
    SingleSignOn,
    Ways,
    WeCom,
    WeComApp,
)
from auth_service.store.admins import AdminStore
from auth_service.store.audit import AuditStore
from auth_service.store.credentials import Store
from auth_service.store.expiry import Expiry
from auth_service.store.replays import Replays
from auth_service.store.sso_states import SsoStates
from auth_service.tokens import TokenOpener
from auth_service.watch import Watch
from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.errors import Unavailable
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

Clock = Callable[[], float]
Work = Callable[[], Coroutine[Any, Any, None]]
_CLEANING_SECONDS = 3600


def create_app(settings: AuthSettings | None = None, *, clock: Clock = time.time) -> FastAPI:
    chosen = settings or AuthSettings.load()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("auth_service", chosen.log_level)
        async with (
            migrated_database(chosen) as database,
            aclosing(_wecom(chosen, clock)) as wecom,
            _redis(chosen, clock) as redis,
        ):
            audit = AuditLog(
                AuditStore(database), retention_days=chosen.audit_retention_days, clock=clock
            )
            watch = Watch(FailedAttempts(chosen.login_failures, clock, redis=redis), audit)
            shared = _Shared(chosen, ensure_secrets(chosen), database, watch, redis, clock)
            beside = await _wire(app, shared, wecom)
            async with anyio.create_task_group() as tasks:
                for work in beside:
                    tasks.start_soon(work)
                yield
                tasks.cancel_scope.cancel()
            await audit.flush()

    app = build_app(title="Chat2LLM auth_service", lifespan=lifespan)
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    for routes in api.routers:
        app.routes.extend(routes.routes)
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


@dataclass(frozen=True, slots=True)
class _Shared:
    """What everything below is made from."""

    settings: AuthSettings
    secrets: Secrets
    database: Database
    watch: Watch
    redis: RedisLimiter | None
    clock: Clock


async def _wire(app: FastAPI, shared: _Shared, wecom: WeCom) -> tuple[Work, ...]:
    """Put the service together; the work that goes on beside it."""
    secrets, database, watch, clock = shared.secrets, shared.database, shared.watch, shared.clock
    master_key, store = MasterKey(secrets.master_key), Store(database)
    opener, passwords = TokenOpener(master_key), Passwords()
    operations = administration(database, master_key, watch.audit, passwords, clock=clock)
    await operations.clients.check_keys()
    await put_operator_key(store, secrets.admin_key)
    sessions = Sessions(store, master_key.derive("session"), clock)
    token_seconds = shared.settings.token_expired_hours * 3600
    hosts = HostApps(
        store, Replays(database), sessions, opener, token_seconds=token_seconds, clock=clock
    )
    admins = Admins(
        AdminStore(database, LOCK),
        Strangers(clock, shared.redis),
        passwords,
        watch,
        csrf_key=master_key.derive("csrf"),
        clock=clock,
    )
    app.state.context = api.Context(
        accounts=Accounts(store, sessions, hosts, admins, watch, clock=clock),
        admins=admins,
        sso=_single_sign_on(shared, store, sessions, wecom, master_key),
        audit=watch.audit,
        caller_key=secrets.caller_key,
        introspection_key=secrets.introspection_key,
    )
    app.state.administration = operations
    app.state.caller_verifier = CallerVerifier(secrets.caller_key.public_key())
    app.state.ready_checks = (database.ping,)
    expiry = partial(_forget_expired, Expiry(database), token_seconds, clock)
    return watch.audit.run, opener.warm_up, expiry


def _single_sign_on(
    shared: _Shared, store: Store, sessions: Sessions, wecom: WeCom, master_key: MasterKey
) -> SingleSignOn:
    demo = DemoLogin(sessions, shared.secrets.demo_secret)
    states = LoginStates(SsoStates(shared.database), master_key.derive("sso state"), shared.clock)
    return SingleSignOn(
        store,
        sessions,
        states,
        ways=Ways(
            demo=demo if shared.settings.h5_demo_enabled else None,
            providers={WECOM_CLIENT: wecom},
        ),
        watch=shared.watch,
        h5_address=shared.settings.h5_address,
    )


@asynccontextmanager
async def _redis(settings: AuthSettings, clock: Clock) -> AsyncIterator[RedisLimiter | None]:
    url = settings.redis_url.get_secret_value()
    redis = RedisLimiter(url, clock) if url else None
    try:
        yield redis
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


async def _forget_expired(expiry: Expiry, token_seconds: float, clock: Clock) -> None:
    while True:
        try:
            with anyio.CancelScope(shield=True):  # the driver hangs when a statement is cancelled
                await expiry.delete_expired(now=clock(), token_seconds=token_seconds)
        except SQLAlchemyError:  # tidying up may wait; logging in may not
            logging.getLogger(__name__).warning("what expired stays for now", exc_info=True)
        await anyio.sleep(_CLEANING_SECONDS)
