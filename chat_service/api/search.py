"""Chat with the web: what may be refused is, before the stream begins."""

from functools import partial

from fastapi import Response

from chat_service.api.dependencies import WebChatDep, streaming_routes
from chat_service.api.stream import STREAMED, AnswerStream
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.schemas import SearchEngineChatRequest
from chat_service.web_chat import WebQuestion
from chat_service.wire import Format

router = streaming_routes(STREAMED)


@router.post("/chat/search_engine_chat", summary="Chat with a search engine's results")
async def search_engine_chat(body: SearchEngineChatRequest, web: WebChatDep) -> Response:
    question = WebQuestion(
        query=body.query,
        engine=body.search_engine_name,
        history=[Message(item.role, item.content) for item in body.history],
        top_k=body.top_k,
        split=body.split_result,
        model_name=body.model_name,
        sampling=Sampling(body.temperature, body.token_limit),
        prompt_name=body.prompt_name,
    )
    web.check(question)
    return AnswerStream(partial(web.answer, question), Format.with_sources(), whole=not body.stream)
