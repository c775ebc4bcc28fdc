"""How files are cut: of a knowledge base, of one file, and seen before it is done."""

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile

from kb_service.api.dependencies import (
    ContextDep,
    FileName,
    KnowledgeBaseName,
    SplitFormDep,
    WriterDep,
    chunk_options,
    chunking_of,
    owner_of,
)
from kb_service.api.uploads import ManagementUploadRoute
from kb_service.ingest import Upload, Wishes
from kb_service.schemas import AcceptedFiles, JobItem
from kb_service.split_schemas import ChunkingItem, Preview, PreviewBody, RecutBody

_PREFIX, _TAG = "/admin/knowledge-bases", "administration"
router = APIRouter(prefix=_PREFIX, tags=[_TAG])
uploads = APIRouter(prefix=_PREFIX, tags=[_TAG], route_class=ManagementUploadRoute)


@router.get(
    "/{kb_name}/chunking",
    summary="How new files of a knowledge base are cut",
    response_model_exclude_none=True,
)
async def chunking(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> ChunkingItem:
    return ChunkingItem.of(chunking_of(context, context.library.writable(kb_name, caller)))


@router.put(
    "/{kb_name}/chunking",
    summary="Choose how new files of a knowledge base are cut; the rest as the installation has it",
    response_model_exclude_none=True,
)
async def set_chunking(
    kb_name: KnowledgeBaseName, body: ChunkingItem, context: ContextDep, caller: WriterDep
) -> ChunkingItem:
    kb = context.library.writable(kb_name, caller)
    options = chunk_options(context.chunking, body.asked())
    await context.library.cut_as(kb, options)
    return ChunkingItem.of(options)


@router.post(
    "/{kb_name}/files/{file_name:path}/split",
    status_code=202,
    summary="Cut a file anew, as a job; what is not said stays as it was cut before",
)
async def split_file(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    body: RecutBody,
    context: ContextDep,
    caller: WriterDep,
) -> AcceptedFiles:
    kb = context.library.writable(kb_name, caller)
    file = await context.library.stored(kb, file_name)
    options = chunk_options(file.options or chunking_of(context, kb), body.asked())
    wishes = Wishes(
        options,
        owner_of(caller),
        body.parsing(),
        names_splitter=True,
        discards_edits=body.discard_edits,
    )
    accepted = await context.ingest.update(kb, [file.name], {}, wishes, override_custom_docs=True)
    jobs = await context.queue.ended(accepted.jobs, 0)
    return AcceptedFiles(jobs=[JobItem.of(job) for job in jobs], refused=accepted.failed)


@router.post(
    "/{kb_name}/files/{file_name:path}/preview",
    summary="What cutting a file so would give; nothing changes",
)
async def preview_file(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    body: PreviewBody,
    context: ContextDep,
    caller: WriterDep,
) -> Preview:
    kb = context.library.writable(kb_name, caller)
    file = await context.library.stored(kb, file_name)
    options = chunk_options(file.options or chunking_of(context, kb), body.asked())
    seen = await context.previews.of_file(kb, file.name, options, body.parsing(), first=body.first)
    return Preview.of(seen, options)


@uploads.post("/{kb_name}/preview", summary="What cutting this file would give; it is not kept")
async def preview_upload(
    kb_name: KnowledgeBaseName,
    context: ContextDep,
    caller: WriterDep,
    file: Annotated[UploadFile, File()],
    split: SplitFormDep,
    first: Annotated[int, Form(ge=1, le=200)] = 20,
) -> Preview:
    kb = context.library.writable(kb_name, caller)
    options = chunk_options(chunking_of(context, kb), split.asked())
    given = Upload(file.filename or "", file.size or 0, file.file)
    seen = await context.previews.of_upload(kb, given, options, split.parsing(), first=first)
    return Preview.of(seen, options)
