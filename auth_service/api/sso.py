"""Single sign-on: a browser comes, says who it is and is sent on."""

from typing import Annotated

from fastapi import APIRouter, Cookie
from fastapi.responses import RedirectResponse

from auth_service.api.context import AddressDep, ContextDep
from servicekit.errors import EnvelopeRoute

_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

routes = APIRouter(route_class=EnvelopeRoute, tags=["identity"])


@routes.get("/sso", summary="Log in with a client's own way", status_code=307)
async def sso(
    context: ContextDep,
    address: AddressDep,
    client: str = "0",
    secret: str | None = None,
    chat2llm_session: Annotated[str | None, Cookie()] = None,
) -> RedirectResponse:
    target = await context.sso.target(client, secret, address=address, cookie=chat2llm_session)
    return RedirectResponse(target, headers=_PRIVATE)
