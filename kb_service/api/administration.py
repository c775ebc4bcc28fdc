"""Who is shown which knowledge base: for operators, and for the clients that own them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kb_service.api.dependencies import ContextDep, WriterDep
from kb_service.schemas import ManagedKnowledgeBase, ManagedKnowledgeBases, VisibilityBody

router = APIRouter(prefix="/admin/knowledge-bases", tags=["administration"])

KnowledgeBaseName = Annotated[str, Path(max_length=1_000)]


@router.get("", summary="Knowledge bases that the caller may write, and who is shown them")
async def list_managed(
    context: ContextDep,
    caller: WriterDep,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ManagedKnowledgeBases:
    found = context.library.all_writable(caller)
    items = found[(page - 1) * page_size : page * page_size]
    return ManagedKnowledgeBases(
        items=[ManagedKnowledgeBase.of(kb) for kb in items],
        total=len(found),
        page=page,
        page_size=page_size,
    )


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
