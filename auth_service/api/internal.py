"""The gateway's question who is behind a credential. Takes only the gateway's own key."""

import hmac
import time
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse

from auth_service.api.context import ContextDep
from auth_service.errors import CredentialRefused
from auth_service.schemas import (
    ActiveCredential,
    InactiveCredential,
    IntrospectionRequest,
    Principal,
)
from servicekit.errors import Unauthorized
from servicekit.identity import sign_caller

_JWS_SECONDS = 300


async def _require_gateway(
    context: ContextDep, authorization: Annotated[str, Header()] = ""
) -> None:
    expected = f"Bearer {context.introspection_key}"
    if not hmac.compare_digest(authorization.encode(), expected.encode()):
        raise Unauthorized("Only the gateway may ask. 仅供网关访问。")


async def render_refused(_: Request, error: Exception) -> JSONResponse:
    """A refused credential is an answer, not a failure, to the gateway's question."""
    assert isinstance(error, CredentialRefused)
    return JSONResponse(InactiveCredential(reason=error.reason).model_dump())


routes = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(_require_gateway)])


@routes.post(
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
