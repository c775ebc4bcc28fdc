"""The API documents: one per service, one of all, and the pages that show them offline."""

import asyncio
from typing import Annotated, Any

from cachetools import TTLCache
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from gateway.api.files import documentation_version
from gateway.api.page import page
from gateway.api.resources import Resources, ResourcesDep
from gateway.openapi import Document, merged, outside_view, own_view
from gateway.routing import SERVICES
from servicekit.errors import NotFound, SafeJSONResponse, ServiceError, UpstreamError

router = APIRouter(tags=["documentation"])
GATEWAY = "gateway"
ALL = (GATEWAY, *SERVICES)
# Swagger UI and Redoc put styles into their elements.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'"
)


@router.get("/docs", summary="Read and try the API 接口文档", include_in_schema=False)
async def docs(service: Annotated[str, Query()] = "") -> HTMLResponse:
    return _documentation_page("docs.html", service)


@router.get("/redoc", summary="Read the API 接口文档", include_in_schema=False)
async def redoc(service: Annotated[str, Query()] = "") -> HTMLResponse:
    return _documentation_page("redoc.html", service)


@router.get("/openapi.json", summary="The OpenAPI document of all services 全部接口文档")
async def whole_document(request: Request, resources: ResourcesDep) -> Response:
    documents = await asyncio.gather(
        *(_document(name, request, resources) for name in ALL), return_exceptions=True
    )
    return SafeJSONResponse(_merge(dict(zip(ALL, documents, strict=True)), request))


@router.get("/openapi/{service}.json", summary="The document of one service 单个服务的文档")
async def service_document(
    service: Annotated[str, Path()], request: Request, resources: ResourcesDep
) -> Response:
    return SafeJSONResponse(await _document(service, request, resources))


def _documentation_page(template: str, service: str) -> HTMLResponse:
    chosen = service if service in ALL else ""
    source = f"openapi/{chosen}.json" if chosen else "openapi.json"
    version = documentation_version()
    return page(
        template,
        policy=_POLICY,
        embedded_by=None,
        services=ALL,
        chosen=chosen,
        source=source,
        version=version,
    )


def _merge(documents: dict[str, Document | BaseException], request: Request) -> Document:
    there: dict[str, Document] = {}
    for name, document in documents.items():
        if isinstance(document, dict):
            there[name] = document
        elif not isinstance(document, ServiceError):
            raise document
    whole = merged(there, title=request.app.title, version=request.app.version)
    missing = [name for name in documents if name not in there]
    if missing:
        whole["info"]["description"] = f"Not available now 暂不可用: {', '.join(missing)}"
    return whole


async def _document(name: str, request: Request, resources: Resources) -> Document:
    """Raises NotFound, Unavailable or UpstreamError."""
    if name == GATEWAY:
        return own_view(request.app.openapi())
    if name not in resources.services:
        raise NotFound(f"There is no service {name!r}. 没有这个服务。")
    kept: TTLCache[str, Any] = request.app.state.documents
    if name not in kept:
        status, document = await resources.services[name].call("GET", "/openapi.json", timeout=5)
        if status != 200 or not isinstance(document, dict):
            raise UpstreamError(f"{name} has no OpenAPI document. 没有接口文档。")
        kept[name] = outside_view(document, name)
    result: Document = kept[name]
    return result
