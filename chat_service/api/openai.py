"""`/v1`: OpenAI's API over our models and knowledge bases."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from chat_service.api.dependencies import CallerHeader, ServerAddress, VendorsDep, kept, may_chat
from chat_service.api.openai_errors import OpenAIRoute
from chat_service.api.openai_stream import CompletionStream
from chat_service.chat_completions import Asked, ChatCompletions
from chat_service.llm import Sampling
from chat_service.openai_schemas import (
    ChatCompletionRequest,
    ModelItem,
    ModelList,
    OpenAIError,
)
from servicekit.errors import Invalid
from servicekit.identity import CallerDep

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError} for status in (400, 404, 429, 502, 503, 504)
}
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A chat completion, or its chunks", "content": {"text/event-stream": {}}}
}
router = APIRouter(
    prefix="/v1",
    tags=["openai"],
    route_class=OpenAIRoute,
    dependencies=[may_chat],
    responses=_ERRORS,
)


CompletionsDep = Annotated[ChatCompletions, kept("chat_completions")]


@router.get("/models", summary="Models, and knowledge bases as models")
async def list_models(
    vendors: VendorsDep, completions: CompletionsDep, header: CallerHeader, caller: CallerDep
) -> ModelList:
    names = list(vendors.usable)
    if caller.may("kb:read"):
        names += await completions.knowledge_bases(caller=header)
    return ModelList(data=[ModelItem(id=name) for name in names])


@router.get("/models/{model:path}", summary="One model")
async def show_model(
    model: Annotated[str, Path(max_length=1_000)], completions: CompletionsDep, caller: CallerHeader
) -> ModelItem:
    await completions.require(model, caller=caller)
    return ModelItem(id=model)


@router.post(
    "/chat/completions",
    summary="A chat completion; `kb:NAME` as the model answers from a knowledge base",
    response_class=Response,
    responses=_STREAMED,
)
async def chat_completions(
    body: ChatCompletionRequest,
    completions: CompletionsDep,
    caller: CallerHeader,
    address: ServerAddress,
) -> Response:
    asked = Asked(
        model=body.model,
        messages=body.messages,
        caller=caller,
        sampling=Sampling(body.temperature, body.token_limit, body.passed_on),
        session_id=_session_id(body),
        top_k=body.top_k,
        score_threshold=body.score_threshold,
        filter=body.filter.to_json() if body.filter else None,
    )
    return CompletionStream(
        await completions.prepare(asked),
        asked,
        whole=not body.stream,
        include_usage=body.include_usage,
        address=address,
        suggest=completions.follow_ups if _wants_follow_ups(body) else None,
    )


def _wants_follow_ups(body: ChatCompletionRequest) -> bool:
    """OpenAI's clients type the values of metadata as text."""
    wanted = (body.metadata or {}).get("follow_ups")
    return wanted is True or wanted == "true"


def _session_id(body: ChatCompletionRequest) -> str | None:
    given = (body.metadata or {}).get("session_id")
    if given is None:
        return None
    if isinstance(given, str) and len(given) == 32 and "\x00" not in given:
        return given
    raise Invalid("metadata.session_id must be 32 characters. 会话 ID 必须为 32 个字符。")
