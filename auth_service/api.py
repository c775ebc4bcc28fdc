"""Routes: who am I, single sign-on, and the gateway's question who is behind a credential."""

import hmac
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Cookie, Depends, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse

from auth_service.accounts import Accounts
from auth_service.errors import CredentialRefused
from auth_service.schemas import (
    ActiveCredential,
    InactiveCredential,
    IntrospectionRequest,
    Principal,
    UserInfo,
    UserInfoAnswer,
)
from auth_service.sso import SingleSignOn
from servicekit.errors import EnvelopeRoute, Unauthorized
from servicekit.identity import CallerDep, sign_caller

_JWS_SECONDS = 300
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Context:
    """What lives as long as the process and routes need."""

    accounts: Accounts
    sso: SingleSignOn
    caller_key: Ed25519PrivateKey
    introspection_key: str


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]


async def _require_gateway(
    context: ContextDep, authorization: Annotated[str, Header()] = ""
) -> None:
    expected = f"Bearer {context.introspection_key}"
    if not hmac.compare_digest(authorization.encode(), expected.encode()):
        raise Unauthorized("Only the gateway may ask. 仅供网关访问。")


async def _client_address(request: Request) -> str:
    """The browser's address. The gateway drops what came from outside and writes its own."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded or (request.client.host if request.client else "")


AddressDep = Annotated[str, Depends(_client_address)]


async def render_refused(_: Request, error: Exception) -> JSONResponse:
    """A refused credential is an answer, not a failure, to the gateway's question."""
    assert isinstance(error, CredentialRefused)
    return JSONResponse(InactiveCredential(reason=error.reason).model_dump())


old_wire = APIRouter(route_class=EnvelopeRoute, tags=["identity"])
internal = APIRouter(
    prefix="/internal", tags=["internal"], dependencies=[Depends(_require_gateway)]
)


@old_wire.get("/user/info", summary="Who the credential belongs to")
async def user_info(caller: CallerDep, context: ContextDep) -> UserInfoAnswer:
    profile = await context.accounts.profile(caller)
    return UserInfoAnswer(
        data=UserInfo(
            client_id=caller.client_id,
            user_id=caller.user_id,
            username=profile.username,
            enable=profile.enable,
            create_time=_local(profile.create_time),
        )
    )


def _local(utc: datetime) -> str:
    """The server's local time to the second, without a zone: the H5 shows it as it comes."""
    local = utc.replace(tzinfo=UTC).astimezone()
    return local.replace(tzinfo=None).isoformat(timespec="seconds")


@old_wire.get("/sso", summary="Log in with a client's own way", status_code=307)
async def sso(
    context: ContextDep,
    address: AddressDep,
    client: str = "0",
    secret: str | None = None,
    chat2llm_session: Annotated[str | None, Cookie()] = None,
) -> RedirectResponse:
    target = await context.sso.target(client, secret, address=address, cookie=chat2llm_session)
    return RedirectResponse(target, headers=_PRIVATE)


@internal.post(
    "/introspect",
    summary="Who is behind a credential",
    response_model=ActiveCredential | InactiveCredential,
)
async def introspect(asked: IntrospectionRequest, context: ContextDep) -> ActiveCredential:
    identity = await context.accounts.identify(
        asked.credential, asked.presented_as, want_session=asked.want_session
    )
    jws_expires_at = int(time.time()) + _JWS_SECONDS
    return ActiveCredential(
        caller=Principal.model_validate(asdict(identity.caller)),
        jws=sign_caller(identity.caller, context.caller_key, expires_at=jws_expires_at),
        jws_expires_at=jws_expires_at,
        expires_at=identity.expires_at,
        session_token=identity.session.token if identity.session else None,
        session_expires_at=identity.session.expires_at if identity.session else None,
    )
