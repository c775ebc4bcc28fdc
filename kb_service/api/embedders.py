"""Embedding models, for those who choose one for a knowledge base."""

from fastapi import APIRouter

from kb_service.api.dependencies import (
    ContextDep,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    WriterDep,
)
from kb_service.embedding_schemas import EmbedderItem, Embedders, EmbeddingStateBody

router = APIRouter(prefix="/admin", tags=["administration"])


@router.get("/embedders", summary="Embedding models that knowledge bases can be indexed with")
async def list_embedders(
    context: ContextDep,
    caller: WriterDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> Embedders:
    found, default = context.embedders.all(), context.embedders.default
    items = [
        EmbedderItem.of(model, default=default)
        for model in found[(page - 1) * page_size : page * page_size]
    ]
    return Embedders(items=items, total=len(found), page=page, page_size=page_size)


@router.get(
    "/knowledge-bases/{kb_name}/embedding",
    summary="The embedding model of a knowledge base, and how many files are still to be moved",
)
async def embedding(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> EmbeddingStateBody:
    kb = context.library.writable(kb_name, caller)
    return EmbeddingStateBody.of(await context.rebuild.state(kb))
