"""Our own small pages: where a sign-in without an H5 ends, and what a refusal says."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.page import page
from gateway.api.resources import InboundDep, Resources, ResourcesDep
from gateway.auth.inbound import Inbound
from gateway.clients import Principal
from servicekit.errors import ServiceError

router = APIRouter(include_in_schema=False)
without_h5 = APIRouter(include_in_schema=False)


@router.get("/welcome", summary="Who you are, and a first question 欢迎页")
async def welcome(inbound: InboundDep, resources: ResourcesDep) -> HTMLResponse:
    """Names who the cookie speaks for, so that a second tab knows too."""
    principal = await _signed_in(inbound, resources)
    if principal is None:
        return page("welcome.html", username="", embedded_by=await resources.origins.known())
    name = principal.caller.username
    return page("welcome.html", username=name, embedded_by=principal.origins)


async def _signed_in(inbound: Inbound, resources: Resources) -> Principal | None:
    if inbound.cookie is None:
        return None
    try:
        return await resources.identities.identify(
            inbound.cookie, presented_as="cookie", address=inbound.address
        )
    except ServiceError:  # the page says how to sign in; what it asks for then says what is wrong
        return None


@without_h5.get("/", summary="To the documentation 文档首页")
async def index() -> Response:
    return RedirectResponse("/docs", 307)


@without_h5.get("/401", summary="Why a sign-in failed 登录失败原因")
async def refused(resources: ResourcesDep, message: Annotated[str, Query()] = "") -> HTMLResponse:
    origins = await resources.origins.known()
    return page("message.html", message=message, embedded_by=origins, told=origins)
