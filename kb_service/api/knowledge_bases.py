"""The old wire's routes about knowledge bases as such."""

from typing import Annotated

from fastapi import APIRouter, Body

from kb_service.api.dependencies import ContextDep, ReaderDep, WriterDep
from kb_service.schemas import (
    CreateKnowledgeBase,
    Envelope,
    FoundDocument,
    KnowledgeBaseItem,
    KnowledgeBases,
    Names,
    SearchDocs,
    UpdateInfo,
    UpdateZhName,
)
from servicekit.errors import EnvelopeRoute

router = APIRouter(
    prefix="/knowledge_base", tags=["Knowledge Base Management"], route_class=EnvelopeRoute
)


@router.get("/list_knowledge_bases", summary="获取知识库列表")
async def list_knowledge_bases(context: ContextDep, caller: ReaderDep) -> Names:
    return Names(data=context.library.names(caller))


@router.get("/list_knowledge_bases_v2", summary="获取知识库列表（含中文名等）")
async def list_knowledge_bases_v2(context: ContextDep, caller: ReaderDep) -> KnowledgeBases:
    found = await context.library.all(caller)
    return KnowledgeBases(data=[KnowledgeBaseItem.of(kb) for kb in found])


@router.post("/create_knowledge_base", summary="创建知识库")
async def create_knowledge_base(
    body: CreateKnowledgeBase, context: ContextDep, caller: WriterDep
) -> Envelope:
    await context.library.create_for(
        caller,
        body.knowledge_base_name,
        zh_name=body.kb_zh_name,
        info=body.kb_info,
        vector_store=body.vector_store_type,
        embed_model=context.library.model_meant(body.embed_model),
    )
    return Envelope(msg=f"已新增知识库 {body.knowledge_base_name}")


@router.post("/delete_knowledge_base", summary="删除知识库")
async def delete_knowledge_base(
    knowledge_base_name: Annotated[str, Body(max_length=1_000, examples=["samples"])],
    context: ContextDep,
    caller: WriterDep,
) -> Envelope:
    await context.library.remove(context.library.writable(knowledge_base_name, caller))
    return Envelope(msg=f"成功删除知识库 {knowledge_base_name}")


@router.post("/update_info", summary="更新知识库介绍")
async def update_info(body: UpdateInfo, context: ContextDep, caller: WriterDep) -> Envelope:
    kb = context.library.writable(body.knowledge_base_name, caller)
    await context.library.describe(kb, body.kb_info)
    return Envelope(msg="知识库介绍修改完成", data={"kb_info": body.kb_info})


@router.post("/update_zh_name", summary="更新知识库中文名")
async def update_zh_name(body: UpdateZhName, context: ContextDep, caller: WriterDep) -> Envelope:
    kb = context.library.writable(body.knowledge_base_name, caller)
    await context.library.rename(kb, body.kb_zh_name)
    return Envelope(msg="知识库中文名修改完成", data={"kb_zh_name": body.kb_zh_name})


@router.post("/search_docs", summary="搜索知识库")
async def search_docs(
    body: SearchDocs, context: ContextDep, caller: ReaderDep
) -> list[FoundDocument]:
    kb = context.library.find(body.knowledge_base_name, caller)
    if kb is None:
        return []
    passages = await context.search.search(
        kb,
        body.query,
        top_k=body.top_k,
        score_threshold=body.score_threshold,
        wanted=body.wanted,
    )
    return [FoundDocument.of(passage) for passage in passages]
