"""A search with all that can be known of it, for whoever cares for a knowledge base."""

import time

from fastapi import APIRouter

from kb_service.api.dependencies import ContextDep, KnowledgeBaseName, WriterDep
from kb_service.search_schemas import SearchBody, SearchResult

router = APIRouter(prefix="/admin/knowledge-bases", tags=["administration"])


@router.post("/{kb_name}/search", summary="The passages that a chat would be given, and why")
async def search(
    kb_name: KnowledgeBaseName, body: SearchBody, context: ContextDep, caller: WriterDep
) -> SearchResult:
    kb = context.library.writable(kb_name, caller)
    wanted = body.filter.entity() if body.filter else None
    begun = time.perf_counter()
    passages = await context.retrieval.passages(
        kb.id,
        body.query,
        top_k=body.top_k,
        score_threshold=body.score_threshold,
        wanted=wanted,
        rerank=body.rerank,
    )
    took = time.perf_counter() - begun
    legs = await context.retrieval.legs(kb.id, body.query, top_k=body.top_k, wanted=wanted)
    words = context.retrieval.wording(body.query).all_words
    return SearchResult.of(words, passages, legs, took * 1_000)
