"""The gateway's questions: who is behind a credential. Takes only the gateway's own key."""

import hmac
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from auth_service.api.context import ContextDep
from auth_service.errors import CredentialRefused, TooManyFailures
from auth_service.schemas import (
    ActiveCredential,
    InactiveCredential,
    IntrospectionRequest,
    LimitedAddress,
    Origins,
    Principal,
)
from servicekit.errors import Unauthorized
from servicekit.identity import sign_caller

_JWS_SECONDS = 300


class _AnsweringRoute(APIRoute):
    """A refused credential is an answer to the gateway's question, not a failure."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_refusals(request: Request) -> Response:
            try:
                return await handle(request)
            except CredentialRefused as refused:
                return JSONResponse(InactiveCredential(reason=refused.reason).model_dump())
            except TooManyFailures as limited:
                return JSONResponse(
                    LimitedAddress(retry_after=limited.retry_after or 1).model_dump()
                )

        return handle_refusals


async def _require_gateway(
    context: ContextDep, authorization: Annotated[str, Header()] = ""
) -> None:
    expected = f"Bearer {context.introspection_key}"
    if not hmac.compare_digest(authorization.encode(), expected.encode()):
        raise Unauthorized("Only the gateway may ask. 仅供网关访问。")


routes = APIRouter(
    prefix="/internal",
    route_class=_AnsweringRoute,
    tags=["internal"],
    dependencies=[Depends(_require_gateway)],
)


@routes.post(
    "/introspect",
    summary="Who is behind a credential",
    response_model=ActiveCredential | InactiveCredential | LimitedAddress,
)
async def introspect(asked: IntrospectionRequest, context: ContextDep) -> ActiveCredential:
    identity = await context.accounts.identify(
        asked.credential,
        asked.presented_as,
        address=asked.address,
        want_session=asked.want_session,
    )
    jws_expires_at = int(time.time()) + _JWS_SECONDS
    return ActiveCredential(
        caller=Principal.model_validate(asdict(identity.caller)),
        jws=sign_caller(identity.caller, context.caller_key, expires_at=jws_expires_at),
        jws_expires_at=jws_expires_at,
        expires_at=identity.expires_at,
        session_token=identity.session.token if identity.session else None,
        session_expires_at=identity.session.expires_at if identity.session else None,
        csrf_token=identity.csrf_token,
        key_id=identity.key_id,
        limits=identity.terms.limits,
        origins=identity.terms.origins,
        embeddable=identity.terms.embeddable,
    )


@routes.get("/origins", summary="Where pages of all clients are")
async def origins(context: ContextDep) -> Origins:
    return Origins(origins=sorted(await context.accounts.origins()))
