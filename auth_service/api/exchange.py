"""A host app's token for a session, and the end of a session."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Header, Response

from auth_service.api.context import AddressDep, ContextDep, SecureDep
from auth_service.schemas import ExchangeAnswer, ExchangeRequest
from servicekit.identity import CallerDep

_SESSION_COOKIE = "chat2llm_session"

routes = APIRouter(prefix="/auth", tags=["identity"])


@routes.post("/exchange", summary="A host app's token for a session token")
async def exchange(
    asked: ExchangeRequest, context: ContextDep, address: AddressDep, response: Response
) -> ExchangeAnswer:
    exchanged = await context.accounts.exchange(asked.token, address=address)
    response.headers["Cache-Control"] = "no-store"
    return ExchangeAnswer(
        session_token=exchanged.session.token,
        expires_at=int(exchanged.session.expires_at),
        client_id=exchanged.caller.client_id,
        user_id=exchanged.caller.user_id,
        username=exchanged.caller.username,
    )


@routes.post("/logout", summary="End this session", status_code=204)
async def logout(
    _: CallerDep,
    context: ContextDep,
    secure: SecureDep,
    response: Response,
    api_token: Annotated[str | None, Header()] = None,
    chat2llm_session: Annotated[str | None, Cookie()] = None,
) -> None:
    await context.accounts.log_out(api_token or chat2llm_session or "")
    response.delete_cookie(_SESSION_COOKIE, httponly=True, secure=secure, samesite="lax")
    if secure:  # a client that is embedded elsewhere has its cookie there
        response.delete_cookie(
            _SESSION_COOKIE, httponly=True, secure=True, samesite="none", partitioned=True
        )
