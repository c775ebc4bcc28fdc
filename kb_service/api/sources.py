"""Web pages and sitemaps that go into a knowledge base: for operators and owner clients."""

from fastapi import APIRouter, Response

from kb_service.api.dependencies import (
    ContextDep,
    PageNumber,
    PageSize,
    RowId,
    WritableKbDep,
    WriterDep,
    owner_of,
)
from kb_service.source_entities import PageState
from kb_service.source_schemas import (
    NewSourceBody,
    PageItem,
    PageItems,
    SourceChanges,
    SourceItem,
    SourceItems,
)

router = APIRouter(prefix="/admin/knowledge-bases/{kb_name}/sources", tags=["administration"])


@router.get("", summary="Web sources of a knowledge base, and what their last runs came to")
async def list_sources(
    kb: WritableKbDep, context: ContextDep, page: PageNumber = 1, page_size: PageSize = 50
) -> SourceItems:
    found = await context.sources.listed(kb)
    items = [SourceItem.of(one) for one in found[(page - 1) * page_size : page * page_size]]
    return SourceItems(items=items, total=len(found), page=page, page_size=page_size)


@router.post("", status_code=201, summary="Add a web page or a sitemap, and fetch it")
async def add_source(
    body: NewSourceBody, kb: WritableKbDep, context: ContextDep, caller: WriterDep
) -> SourceItem:
    owner = owner_of(caller)
    return SourceItem.of(await context.sources.add(kb, body.kind, body.url, body.options(), owner))


@router.get("/{source_id}", summary="A web source")
async def get_source(source_id: RowId, kb: WritableKbDep, context: ContextDep) -> SourceItem:
    return SourceItem.of(await context.sources.find(kb, source_id))


@router.patch("/{source_id}", summary="Change how often and how far a web source is fetched")
async def change_source(
    source_id: RowId, body: SourceChanges, kb: WritableKbDep, context: ContextDep
) -> SourceItem:
    return SourceItem.of(await context.sources.change(kb, source_id, body.given()))


@router.delete(
    "/{source_id}",
    status_code=204,
    summary="Remove a web source; its files stay, or are removed after the answer",
)
async def remove_source(
    source_id: RowId, kb: WritableKbDep, context: ContextDep, with_files: bool = False
) -> Response:
    await context.sources.remove(kb, source_id, with_files=with_files)
    return Response(status_code=204)


@router.post("/{source_id}/run", status_code=202, summary="Fetch a web source now")
async def run_source(source_id: RowId, kb: WritableKbDep, context: ContextDep) -> SourceItem:
    return SourceItem.of(await context.sources.call(kb, source_id))


@router.get("/{source_id}/pages", summary="Addresses of a web source, and what became of them")
async def list_pages(
    source_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    state: PageState | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> PageItems:
    found = await context.sources.pages(kb, source_id, state, page=page, page_size=page_size)
    items = [PageItem.of(one) for one in found.items]
    return PageItems(items=items, total=found.total, page=page, page_size=page_size)
