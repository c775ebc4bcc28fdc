"""The end of every sign-in: the token leaves the address bar and becomes a browser session."""

import time
from typing import Annotated
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.api.page import page
from gateway.api.resources import InboundDep, Resources, ResourcesDep
from gateway.auth.inbound import Inbound
from gateway.auth.session_cookie import require_own_page, set_cookie
from gateway.clients import Principal
from gateway.errors import CredentialRefused
from servicekit.errors import Invalid, ServiceError

router = APIRouter(tags=["sign-in"])
_LARGEST_FORM = 16 * 1024
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@router.get("/sso", summary="Exchange a token for a session 用令牌登录", response_model=None)
async def arrive(
    token: Annotated[str, Query()], inbound: InboundDep, resources: ResourcesDep
) -> Response:
    try:
        # First, because the token may be good for one exchange only.
        here = await _already_here(inbound, resources)
        principal = await resources.identities.exchange(
            token, presented_as="url", address=inbound.address
        )
    except ServiceError as error:
        return await _refused(error, 307, resources)
    if here is not None and here.key != principal.key:
        return page(
            "switch.html",
            # Not the token, but the origin: without it the form's Origin would be null.
            referrer="strict-origin",
            embedded_by=principal.origins,
            principal=principal,
            other=here,
            home=resources.home,
        )
    return _landing(principal, inbound, resources)


@router.post("/sso", summary="Switch to another user's session 切换用户", include_in_schema=False)
async def switch(request: Request, inbound: InboundDep, resources: ResourcesDep) -> Response:
    try:
        require_own_page("POST", inbound)
        token = await _token_of_form(request)
        principal = await resources.identities.exchange(
            token, presented_as="header", address=inbound.address
        )
    except ServiceError as error:
        return await _refused(error, 303, resources)
    return _landing(principal, inbound, resources)


async def _already_here(inbound: Inbound, resources: Resources) -> Principal | None:
    """Whose live session this browser has."""
    if inbound.cookie is None:
        return None
    try:
        return await resources.identities.identify(
            inbound.cookie, presented_as="cookie", address=inbound.address
        )
    except CredentialRefused:
        return None


def _landing(principal: Principal, inbound: Inbound, resources: Resources) -> Response:
    return page(
        "landing.html",
        referrer="no-referrer",
        embedded_by=principal.origins,
        headers={"Set-Cookie": set_cookie(principal, inbound.scheme)},
        token=principal.session_token,
        seconds=max(0, int(principal.session_expires_at - time.time())),
        told=principal.origins,
        home=resources.home,
    )


async def _refused(error: ServiceError, status: int, resources: Resources) -> Response:
    if error.status >= 500 or error.status == 429:
        return page(
            "message.html",
            status=error.status,
            headers=error.headers,
            embedded_by=await resources.origins.known(),
            message=str(error),
        )
    return RedirectResponse(f"/401?message={quote(str(error))}", status, _PRIVATE)


async def _token_of_form(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise Invalid("The form is too large. 表单过大。")
    tokens = parse_qs(body.decode("latin-1")).get("token", [])
    if len(tokens) != 1:
        raise CredentialRefused("invalid")
    return tokens[0]
