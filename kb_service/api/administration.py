"""Knowledge bases as such, for operators and for the clients that own them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from kb_service.api.dependencies import (
    ContextDep,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    WriterDep,
)
from kb_service.entities import FileState
from kb_service.errors import EmptyName, NameTaken
from kb_service.management_schemas import (
    ChangeKnowledgeBase,
    FileItem,
    Files,
    NewKnowledgeBase,
    Statistics,
)
from kb_service.names import normal_tag
from kb_service.schemas import ManagedKnowledgeBase, ManagedKnowledgeBases, VisibilityBody
from servicekit.errors import Conflict, Invalid


class _TrueStatusRoute(APIRoute):
    """Two errors have the old wire's odd code, which is none of HTTP's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_truly(request: Request) -> Response:
            try:
                return await handle(request)
            except NameTaken as error:
                raise Conflict(str(error)) from None
            except EmptyName as error:
                raise Invalid(str(error)) from None

        return handle_truly


router = APIRouter(
    prefix="/admin/knowledge-bases", tags=["administration"], route_class=_TrueStatusRoute
)


@router.get("", summary="Knowledge bases that the caller may write, and who is shown them")
async def list_managed(
    context: ContextDep,
    caller: WriterDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> ManagedKnowledgeBases:
    found = context.library.all_writable(caller)
    items = found[(page - 1) * page_size : page * page_size]
    return ManagedKnowledgeBases(
        items=[ManagedKnowledgeBase.of(kb) for kb in items],
        total=len(found),
        page=page,
        page_size=page_size,
    )


@router.post("", status_code=201, summary="Make a knowledge base")
async def create(
    body: NewKnowledgeBase, context: ContextDep, caller: WriterDep
) -> ManagedKnowledgeBase:
    made = await context.library.create_for(
        caller,
        body.name,
        zh_name=body.zh_name or body.name,
        info=body.info,
        vector_store="default",
        embed_model=body.embed_model,
    )
    return ManagedKnowledgeBase.of(made)


@router.get("/{kb_name}", summary="A knowledge base")
async def get_one(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> ManagedKnowledgeBase:
    return ManagedKnowledgeBase.of(context.library.writable(kb_name, caller))


@router.patch("/{kb_name}", summary="Change what is said of a knowledge base")
async def change(
    kb_name: KnowledgeBaseName, body: ChangeKnowledgeBase, context: ContextDep, caller: WriterDep
) -> ManagedKnowledgeBase:
    kb = context.library.writable(kb_name, caller)
    if body.embed_model is not None:
        await context.library.embed_as(kb, body.embed_model)
        context.rebuild.call()
    changed = await context.library.say(kb, zh_name=body.zh_name, info=body.info)
    return ManagedKnowledgeBase.of(changed)


@router.delete("/{kb_name}", status_code=204, summary="Delete a knowledge base with all its files")
async def delete(kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep) -> None:
    await context.library.remove(context.library.writable(kb_name, caller))


@router.get("/{kb_name}/files", summary="Files by name, with what became of them")
async def list_files(
    kb_name: KnowledgeBaseName,
    context: ContextDep,
    caller: WriterDep,
    name: Annotated[str, Query(max_length=255, description="a part of the name")] = "",
    state: FileState | None = None,
    tag: Annotated[str | None, Query(max_length=200)] = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> Files:
    kb = context.library.writable(kb_name, caller)
    found = await context.files.page(
        kb.id,
        name=name,
        state=state,
        tag=None if tag is None else normal_tag(tag),
        start=(page - 1) * page_size,
        limit=page_size,
    )
    items = [FileItem.of(file) for file in found.items]
    return Files(items=items, total=found.total, page=page, page_size=page_size)


@router.get("/{kb_name}/statistics", summary="A knowledge base in numbers, and what it lacks")
async def statistics(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> Statistics:
    kb = context.library.writable(kb_name, caller)
    return Statistics.of(kb, await context.tally.of(kb))


@router.get("/{kb_name}/visibility", summary="Who is shown a knowledge base")
async def visibility(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> VisibilityBody:
    return VisibilityBody.of(context.library.writable(kb_name, caller).visibility)


@router.put("/{kb_name}/visibility", summary="Choose who is shown a knowledge base")
async def set_visibility(
    kb_name: KnowledgeBaseName, body: VisibilityBody, context: ContextDep, caller: WriterDep
) -> VisibilityBody:
    wanted = body.entity()
    await context.library.show_to(context.library.writable(kb_name, caller), wanted, caller)
    return VisibilityBody.of(wanted)
