"""A host app's token for a session, and the end of a session."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Header, Response

from auth_service.api.context import AddressDep, ContextDep, SecureDep
from auth_service.schemas import ExchangeAnswer, ExchangeRequest
from servicekit.identity import CallerDep

_ENDED = "chat2llm_session=; Path=/; Max-Age=0; HttpOnly"
# A client that is embedded in other sites has a cookie there; Starlette writes none of this kind.
_EMBEDDED = "Secure; SameSite=None; Partitioned"

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
    for where in ("Secure; SameSite=Lax", _EMBEDDED) if secure else ("SameSite=Lax",):
        response.headers.append("Set-Cookie", f"{_ENDED}; {where}")
