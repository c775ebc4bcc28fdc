"""Single sign-on: a browser comes, says who it is and is sent on."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends
from fastapi.responses import RedirectResponse

from auth_service.api.context import AddressDep, ContextDep, SecureDep
from auth_service.sso import STATE_SECONDS, Step, Visitor
from servicekit.errors import EnvelopeRoute

_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_LOGIN_COOKIE = "chat2llm_sso"

routes = APIRouter(route_class=EnvelopeRoute, tags=["identity"])


async def _visitor(
    address: AddressDep,
    chat2llm_session: Annotated[str | None, Cookie()] = None,
    chat2llm_sso: Annotated[str | None, Cookie()] = None,
) -> Visitor:
    return Visitor(address, session_cookie=chat2llm_session, login_cookie=chat2llm_sso)


VisitorDep = Annotated[Visitor, Depends(_visitor)]


@routes.get("/sso", summary="Log in with a client's own way", status_code=307)
async def sso(
    context: ContextDep,
    visitor: VisitorDep,
    secure: SecureDep,
    client: str = "0",
    secret: str | None = None,
) -> RedirectResponse:
    return _redirect(await context.sso.begin(client, secret, visitor), secure=secure)


@routes.get("/ent-wechat-sso", summary="Come back from WeCom's login", status_code=307)
async def ent_wechat_sso(
    context: ContextDep, visitor: VisitorDep, secure: SecureDep, code: str = "", state: str = ""
) -> RedirectResponse:
    return _redirect(await context.sso.finish(code, state, visitor), secure=secure)


def _redirect(step: Step, *, secure: bool) -> RedirectResponse:
    answer = RedirectResponse(step.target, headers=_PRIVATE)
    if step.login_cookie:
        answer.set_cookie(
            _LOGIN_COOKIE,
            step.login_cookie,
            max_age=STATE_SECONDS,
            secure=secure,
            httponly=True,
            samesite="lax",
        )
    return answer
