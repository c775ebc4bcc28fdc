"""The console's login."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Response

from auth_service.api.context import AddressDep, ContextDep, SecureDep
from auth_service.schemas import LoginAnswer, LoginRequest, Me
from servicekit.identity import CallerDep

_COOKIE = "chat2llm_admin"
AdminCookie = Annotated[str | None, Cookie(alias=_COOKIE)]

routes = APIRouter(prefix="/admin", tags=["administration"])


@routes.post("/login", summary="Log in to the console")
async def login(
    asked: LoginRequest,
    context: ContextDep,
    address: AddressDep,
    secure: SecureDep,
    response: Response,
) -> LoginAnswer:
    opened = await context.admins.log_in(asked.username, asked.password, address=address)
    response.set_cookie(
        _COOKIE, opened.token, httponly=True, secure=secure, samesite="strict", path="/"
    )
    response.headers["Cache-Control"] = "no-store"
    return LoginAnswer(
        username=opened.username,
        csrf_token=opened.csrf_token,
        expires_at=int(opened.expires_at),
    )


@routes.post("/logout", summary="Log out of the console", status_code=204)
async def logout(
    _: CallerDep,
    context: ContextDep,
    secure: SecureDep,
    response: Response,
    token: AdminCookie = None,
) -> None:
    await context.admins.log_out(token or "")
    response.delete_cookie(_COOKIE, httponly=True, secure=secure, samesite="strict")


@routes.get("/me", summary="Who is logged in")
async def me(caller: CallerDep, context: ContextDep, token: AdminCookie = None) -> Me:
    csrf_token = context.admins.csrf_token(token) if token else None
    return Me(username=caller.username, scopes=caller.scopes, csrf_token=csrf_token)
