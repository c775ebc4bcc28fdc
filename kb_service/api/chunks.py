"""The chunks of a file, for operators and owner clients."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kb_service.api.dependencies import (
    ContextDep,
    FileName,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    WriterDep,
    owner_of,
)
from kb_service.chunk_entities import ChunkState
from kb_service.chunk_schemas import (
    AddChunk,
    ChangeChunk,
    ChunkItem,
    ChunkItems,
    RestoreChunk,
    RevisionItem,
    Revisions,
)

router = APIRouter(
    prefix="/admin/knowledge-bases/{kb_name}/files/{file_name:path}/chunks",
    tags=["administration"],
)

ChunkId = Annotated[str, Path(max_length=100)]


@router.get("", summary="The chunks of a file, in their order")
async def list_chunks(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    context: ContextDep,
    caller: WriterDep,
    text: Annotated[str, Query(max_length=1_000)] = "",
    state: ChunkState | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> ChunkItems:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    found = await context.chunks.page(file, text=text, state=state, page=page, page_size=page_size)
    return ChunkItems.of(found, file.options, page=page, page_size=page_size)


@router.post("", status_code=201, summary="Add a chunk behind another one")
async def add_chunk(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    body: AddChunk,
    context: ContextDep,
    caller: WriterDep,
) -> ChunkItem:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    return ChunkItem.of(await context.chunks.add(file, body.after, body.content, owner_of(caller)))


@router.patch("/{chunk_id}", summary="Edit a chunk, or switch it off or on")
async def change_chunk(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    chunk_id: ChunkId,
    body: ChangeChunk,
    context: ContextDep,
    caller: WriterDep,
) -> ChunkItem:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    author = owner_of(caller)
    changed = await context.chunks.change(
        file, chunk_id, author, content=body.content, is_enabled=body.enabled
    )
    return ChunkItem.of(changed)


@router.delete("/{chunk_id}", status_code=204, summary="Delete an added chunk")
async def delete_chunk(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    chunk_id: ChunkId,
    context: ContextDep,
    caller: WriterDep,
) -> None:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    await context.chunks.delete(file, chunk_id, owner_of(caller))


@router.get("/{chunk_id}/history", summary="Who changed a chunk, when, and what it was before")
async def chunk_history(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    chunk_id: ChunkId,
    context: ContextDep,
    caller: WriterDep,
) -> Revisions:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    found = await context.chunks.history(file, chunk_id)
    return Revisions(items=[RevisionItem.of(revision) for revision in found])


@router.post("/{chunk_id}/restore", summary="Make a chunk what it was after one of its changes")
async def restore_chunk(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    chunk_id: ChunkId,
    body: RestoreChunk,
    context: ContextDep,
    caller: WriterDep,
) -> ChunkItem:
    file = await context.library.stored(context.library.writable(kb_name, caller), file_name)
    restored = await context.chunks.restore(file, chunk_id, body.number, owner_of(caller))
    return ChunkItem.of(restored)
