"""The chat routes: everything that may be refused is, before the stream begins."""

from functools import partial
from typing import Any

from fastapi import Response

from chat_service.answer import Question
from chat_service.api.dependencies import AnsweringDep, CallerHeader, streaming_routes
from chat_service.api.stream import STREAMED, AnswerStream
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.schemas import ChatRequest, KnowledgeBaseChatRequest
from chat_service.wire import Format

router = streaming_routes(STREAMED)


@router.post("/chat/chat", summary="Chat with a model")
async def chat(body: ChatRequest, caller: CallerHeader, answering: AnsweringDep) -> Response:
    question = Question(**_asked(body, caller))
    turn = await answering.begin(question)
    answer = partial(answering.answer, question, turn)
    return AnswerStream(answer, Format.llm(turn.id), whole=not body.stream)


@router.post("/chat/knowledge_base_chat", summary="Chat with a knowledge base")
async def knowledge_base_chat(
    body: KnowledgeBaseChatRequest, caller: CallerHeader, answering: AnsweringDep
) -> Response:
    question = Question(
        **_asked(body, caller),
        knowledge_base=body.knowledge_base_name,
        top_k=body.top_k,
        score_threshold=body.score_threshold,
        filter=body.filter.to_json() if body.filter else None,
    )
    turn = await answering.begin(question)
    answer = partial(answering.answer, question, turn)
    return AnswerStream(answer, Format.with_sources(), whole=not body.stream)


def _asked(body: ChatRequest, caller: str) -> dict[str, Any]:
    history = None
    if body.history is not None:
        history = [Message(item.role, item.content) for item in body.history]
    return {
        "caller": caller,
        "query": body.query,
        "session_id": body.session_id,
        "turn_id": body.chat_history_id or None,
        "history": history,
        "model_name": body.model_name,
        "sampling": Sampling(body.temperature, body.token_limit),
        "prompt_name": body.prompt_name,
    }
