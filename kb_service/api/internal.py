"""What other services ask; errors are problem details."""

from fastapi import APIRouter

from kb_service.api.dependencies import ContextDep, KnowledgeBaseName, ReaderDep
from kb_service.schemas import (
    DocumentText,
    KnowledgeBaseFound,
    PassageItem,
    Passages,
    ReadDocument,
    SearchDocs,
)

router = APIRouter(prefix="/internal", tags=["internal"])


@router.get("/knowledge_bases/{kb_name}", summary="Is there such a knowledge base for the caller?")
async def knowledge_base(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: ReaderDep
) -> KnowledgeBaseFound:
    kb = context.library.readable(kb_name, caller)
    return KnowledgeBaseFound(knowledge_base_name=kb.name, kb_zh_name=kb.zh_name)


@router.post("/search", summary="The passages that answer a question")
async def search(body: SearchDocs, context: ContextDep, caller: ReaderDep) -> Passages:
    kb = context.library.readable(body.knowledge_base_name, caller)
    passages = await context.search.search_for_chat(
        kb,
        body.query,
        top_k=body.top_k,
        score_threshold=body.score_threshold,
        wanted=body.wanted,
    )
    return Passages(passages=[PassageItem.of(passage) for passage in passages])


@router.post("/read", summary="The text of a document, chunk after chunk")
async def read(body: ReadDocument, context: ContextDep, caller: ReaderDep) -> DocumentText:
    kb = context.library.readable(body.knowledge_base_name, caller)
    file = await context.library.stored(kb, body.file_name)
    text, after = await context.chunks.text(file, start=body.start, count=body.count)
    return DocumentText(text=text, next=after)
