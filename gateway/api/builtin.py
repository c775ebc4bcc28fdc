"""Our own small pages: where a sign-in without an H5 ends, and what a refusal says."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.page import page
from gateway.api.resources import InboundDep, ResourcesDep
from gateway.errors import CredentialRefused
from servicekit.errors import ServiceError

router = APIRouter(include_in_schema=False)
without_h5 = APIRouter(include_in_schema=False)


@router.get("/welcome", summary="Who you are, and a first question 欢迎页")
async def welcome(inbound: InboundDep, resources: ResourcesDep) -> HTMLResponse:
    """Names who the cookie speaks for, so that a second tab knows too."""
    name = ""
    if inbound.cookie:
        try:
            principal = await resources.identities.identify(
                inbound.cookie, presented_as="cookie", address=inbound.address
            )
            name = principal.caller.username
        except (CredentialRefused, ServiceError):
            name = ""
    return page("welcome.html", username=name)


@without_h5.get("/", summary="To the documentation 文档首页")
async def index() -> Response:
    return RedirectResponse("/docs", 307)


@without_h5.get("/401", summary="Why a sign-in failed 登录失败原因")
async def refused(message: Annotated[str, Query()] = "") -> HTMLResponse:
    return page("message.html", status=200, message=message)
