"""Our own small pages: where a sign-in without an H5 ends, and what a refusal says."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.page import page
from gateway.api.resources import InboundDep, ResourcesDep
from servicekit.errors import ServiceError

router = APIRouter(include_in_schema=False)
without_h5 = APIRouter(include_in_schema=False)


@router.get("/welcome", summary="Who you are, and a first question 欢迎页")
async def welcome(inbound: InboundDep, resources: ResourcesDep) -> HTMLResponse:
    """Names who the cookie speaks for, so that a second tab knows too."""
    try:
        if inbound.cookie:
            principal = await resources.identities.identify(
                inbound.cookie, presented_as="cookie", address=inbound.address
            )
            name = principal.caller.username
            return page("welcome.html", username=name, embedded_by=principal.origins)
    except ServiceError:
        pass  # whatever it is: nobody is known
    return page("welcome.html", username="", embedded_by=await resources.origins.known())


@without_h5.get("/", summary="To the documentation 文档首页")
async def index() -> Response:
    return RedirectResponse("/docs", 307)


@without_h5.get("/401", summary="Why a sign-in failed 登录失败原因")
async def refused(resources: ResourcesDep, message: Annotated[str, Query()] = "") -> HTMLResponse:
    origins = await resources.origins.known()
    return page("message.html", message=message, embedded_by=origins, told=origins)
