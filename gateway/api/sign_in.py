"""The end of every sign-in: the token leaves the address bar and becomes a browser session."""

from typing import Annotated
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.api.page import page
from gateway.api.resources import InboundDep, Resources, ResourcesDep
from gateway.auth.inbound import Inbound
from gateway.auth.session_cookie import require_own_page, set_cookie
from gateway.clients import Presentation, Principal, Rejection
from gateway.errors import CredentialRefused
from servicekit.errors import Invalid, ServiceError

router = APIRouter(tags=["sign-in"])
_LARGEST_FORM = 16 * 1024


@router.get("/sso", summary="Exchange a token for a session 用令牌登录", response_model=None)
async def arrive(
    token: Annotated[str, Query()], inbound: InboundDep, resources: ResourcesDep
) -> Response:
    try:
        principal = await _exchange(token, "url", inbound, resources)
        other = await _someone_else(principal, inbound, resources)
    except ServiceError as error:
        return _refused(error, 307)
    if other is not None:
        return page("switch.html", principal=principal, other=other, home=resources.home)
    return _landing(principal, inbound, resources)


@router.post("/sso", summary="Switch to another user's session 切换用户", include_in_schema=False)
async def switch(request: Request, inbound: InboundDep, resources: ResourcesDep) -> Response:
    try:
        require_own_page("POST", inbound, frozenset())
        token = await _token_of_form(request)
        principal = await _exchange(token, "header", inbound, resources)
    except ServiceError as error:
        return _refused(error, 303)
    return _landing(principal, inbound, resources)


async def _exchange(
    token: str, presented_as: Presentation, inbound: Inbound, resources: Resources
) -> Principal:
    """Never from memory: some tokens may be used once. Raises CredentialRefused, Unavailable."""
    answer = await resources.auth.introspect(
        token, presented_as=presented_as, address=inbound.address, want_session=True
    )
    if isinstance(answer, Rejection):
        raise CredentialRefused(answer.reason)
    if answer.session_token is None:  # an API key is for programs
        raise CredentialRefused("invalid")
    return answer


async def _someone_else(
    principal: Principal, inbound: Inbound, resources: Resources
) -> Principal | None:
    """The other principal that this browser has a live session of."""
    if inbound.cookie is None:
        return None
    try:
        other = await resources.identities.identify(
            inbound.cookie, presented_as="cookie", address=inbound.address
        )
    except CredentialRefused:
        return None
    return None if other.key == principal.key else other


def _landing(principal: Principal, inbound: Inbound, resources: Resources) -> Response:
    response = page(
        "landing.html",
        referrer="no-referrer",
        token=principal.session_token,
        home=resources.home,
    )
    response.headers["Set-Cookie"] = set_cookie(principal, inbound.scheme)
    return response


def _refused(error: ServiceError, status: int) -> Response:
    if error.status >= 500:
        return page("message.html", status=error.status, message=str(error))
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(f"/401?message={quote(str(error))}", status, headers)


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
