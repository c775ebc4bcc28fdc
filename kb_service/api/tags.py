"""Tags of files, that lists and searches are narrowed by."""

from fastapi import APIRouter

from kb_service.api.dependencies import (
    ContextDep,
    FileName,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    WriterDep,
)
from kb_service.management_schemas import FileTags, TagItem, Tags, TagsBody

router = APIRouter(prefix="/admin/knowledge-bases/{kb_name}", tags=["administration"])


@router.get("/tags", summary="The tags that files of a knowledge base have")
async def list_tags(
    kb_name: KnowledgeBaseName,
    context: ContextDep,
    caller: WriterDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> Tags:
    found = await context.labelling.tags(context.library.writable(kb_name, caller).id)
    items = [TagItem.of(tag) for tag in found[(page - 1) * page_size : page * page_size]]
    return Tags(items=items, total=len(found), page=page, page_size=page_size)


@router.put("/files/{file_name:path}/tags", summary="Give a file other tags")
async def set_tags(
    kb_name: KnowledgeBaseName,
    file_name: FileName,
    body: TagsBody,
    context: ContextDep,
    caller: WriterDep,
) -> FileTags:
    kb = context.library.writable(kb_name, caller)
    tags = sorted(set(body.tags))
    await context.labelling.put(kb.id, file_name, tags)
    return FileTags(name=file_name, tags=tags)
