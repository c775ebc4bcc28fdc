"""The old wire's route to the embedding model."""

from fastapi import APIRouter

from kb_service.api.dependencies import ContextDep, ReaderDep
from kb_service.schemas import EmbedTexts, Vectors
from servicekit.errors import EnvelopeRoute

router = APIRouter(prefix="/other", tags=["Other"], route_class=EnvelopeRoute)


@router.post("/embed_texts", summary="将文本向量化")
async def embed_texts(body: EmbedTexts, context: ContextDep, caller: ReaderDep) -> Vectors:
    embedded = await context.embedders.embed(
        body.texts, model=body.embed_model, to_query=body.to_query
    )
    return Vectors(data=embedded.vectors)
