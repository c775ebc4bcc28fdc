"""The old wire's routes about the files of a knowledge base."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Json

from kb_service.api.dependencies import (
    ContextDep,
    ListedKnowledgeBaseDep,
    ReaderDep,
    WriterDep,
    given_docs,
    owner_of,
    wire_chunking,
)
from kb_service.api.uploads import UploadRoute
from kb_service.context import Context
from kb_service.entities import ChunkOptions, KnowledgeBase
from kb_service.errors import NoSuchKnowledgeBase
from kb_service.ingest import Progress, Upload, Wishes
from kb_service.names import check_knowledge_base_name, extension_of, shown
from kb_service.schemas import (
    Chunking,
    DeleteDocs,
    FailedFiles,
    FilesDone,
    Names,
    RecreateVectorStore,
    UpdateDocs,
    stream_chunk,
)
from servicekit.errors import EnvelopeRoute
from servicekit.identity import Caller

_PREFIX, _TAG = "/knowledge_base", "Knowledge Base Management"
router = APIRouter(prefix=_PREFIX, tags=[_TAG], route_class=EnvelopeRoute)
uploads = APIRouter(prefix=_PREFIX, tags=[_TAG], route_class=UploadRoute)

# What a browser may show itself; everything else is only ever saved.
_INLINE = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".csv": "text/plain; charset=utf-8",
}
_ATTACHMENT = "multipart/form-data"  # the old wire's type, odd as it is
_DOWNLOAD_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
    "Cache-Control": "private, no-cache",
}
_STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


@router.get("/list_files", summary="获取知识库内的文件列表")
async def list_files(kb: ListedKnowledgeBaseDep, context: ContextDep) -> Names:
    return Names(data=await context.library.listed_files(kb))


@uploads.post("/upload_docs", summary="上传文件到知识库，并/或进行向量化")
async def upload_docs(
    context: ContextDep,
    caller: WriterDep,
    files: Annotated[list[UploadFile], File(description="上传文件，支持多文件")],
    knowledge_base_name: Annotated[str, Form(max_length=1_000, description="知识库名称")],
    docs: Annotated[
        Json[dict[str, Any]],
        Form(default_factory=dict, description="自定义的docs，需要转为json字符串"),
    ],
    override: Annotated[bool, Form(description="覆盖已有文件")] = False,
    to_vector_store: Annotated[bool, Form(description="上传文件后是否进行向量化")] = True,
    chunk_size: Annotated[int | None, Form(ge=1, le=10_000, description="默认 250")] = None,
    chunk_overlap: Annotated[int | None, Form(ge=0, le=10_000, description="默认 50")] = None,
    zh_title_enhance: Annotated[bool, Form(description="是否开启中文标题加强")] = False,
    not_refresh_vs_cache: Annotated[bool, Form(description="不起作用")] = False,
) -> FilesDone:
    kb = context.library.writable(knowledge_base_name, caller)
    good, bad = given_docs(docs)
    options = wire_chunking(context, kb, chunk_size, chunk_overlap, zh_title_enhance)
    accepted = await context.ingest.upload(
        kb,
        [Upload(file.filename or "", file.size or 0, file.file) for file in files],
        good,
        Wishes(options, owner_of(caller)),
        override=override,
        to_vector_store=to_vector_store,
    )
    failed = await context.ingest.outcome(accepted)
    return FilesDone(msg="文件上传与向量化完成", data=FailedFiles(failed_files=failed | bad))


@router.post("/delete_docs", summary="删除知识库内指定文件")
async def delete_docs(body: DeleteDocs, context: ContextDep, caller: WriterDep) -> FilesDone:
    kb = context.library.writable(body.knowledge_base_name, caller)
    failed = await context.ingest.remove(kb, body.file_names, delete_content=body.delete_content)
    return FilesDone(msg="文件删除完成", data=FailedFiles(failed_files=failed))


@router.post("/update_docs", summary="更新现有文件到知识库")
async def update_docs(body: UpdateDocs, context: ContextDep, caller: WriterDep) -> FilesDone:
    kb = context.library.writable(body.knowledge_base_name, caller)
    good, bad = given_docs(body.docs)
    options = _chunking(body, context, kb)
    accepted = await context.ingest.update(
        kb,
        body.file_names,
        good,
        Wishes(options, owner_of(caller)),
        override_custom_docs=body.override_custom_docs,
    )
    failed = await context.ingest.outcome(accepted)
    return FilesDone(msg="更新文档完成", data=FailedFiles(failed_files=failed | bad))


@router.get("/download_doc", summary="下载对应的知识文件", response_class=FileResponse)
async def download_doc(
    knowledge_base_name: Annotated[str, Query(max_length=1_000)],
    file_name: Annotated[str, Query(max_length=1_000)],
    context: ContextDep,
    caller: ReaderDep,
    preview: Annotated[bool, Query(description="是：浏览器内预览；否：下载")] = False,
) -> FileResponse:
    kb = context.library.readable(knowledge_base_name, caller)
    path = await context.library.content_of(kb, file_name)
    inline = _INLINE.get(extension_of(file_name)) if preview else None
    return FileResponse(
        path,
        filename=file_name.rpartition("/")[2],
        media_type=inline or _ATTACHMENT,
        content_disposition_type="inline" if inline else "attachment",
        headers=_DOWNLOAD_HEADERS,
    )


@router.post("/recreate_vector_store", summary="根据文档重建向量库，流式输出处理进度")
async def recreate_vector_store(
    body: RecreateVectorStore, context: ContextDep, caller: WriterDep
) -> StreamingResponse:
    check_knowledge_base_name(body.knowledge_base_name)
    options = _chunking(body, context, context.library.find(body.knowledge_base_name, caller))
    chunks = _rebuilding(context, body, caller, options)
    return StreamingResponse(chunks, media_type="text/event-stream", headers=_STREAM_HEADERS)


async def _rebuilding(
    context: Context, body: RecreateVectorStore, caller: Caller, options: ChunkOptions
) -> AsyncIterator[str]:
    name = body.knowledge_base_name
    try:
        kb = context.library.writable(name, caller)
    except NoSuchKnowledgeBase:
        yield stream_chunk({"code": 404, "msg": f"未找到知识库 ‘{shown(name)}’"})
        return
    if model := context.library.model_meant(body.embed_model):
        await context.library.embed_as(kb, model)
    wishes = Wishes(options, owner_of(caller))
    async with aclosing(context.ingest.rebuild(kb, wishes)) as progress:
        async for step in progress:
            yield stream_chunk(_step(kb.name, step))


def _chunking(body: Chunking, context: Context, kb: KnowledgeBase | None) -> ChunkOptions:
    return wire_chunking(context, kb, body.chunk_size, body.chunk_overlap, body.zh_title_enhance)


def _step(kb_name: str, step: Progress) -> dict[str, Any]:
    if step.fault:
        what = f"添加文件‘{shown(step.file_name)}’到知识库‘{kb_name}’"
        return {"code": 500, "msg": f"{what}时出错：{step.fault}。已跳过。"}
    return {
        "code": 200,
        "msg": f"({step.finished} / {step.total}): {step.file_name}",
        "total": step.total,
        "finished": step.finished,
        "doc": step.file_name,
    }
