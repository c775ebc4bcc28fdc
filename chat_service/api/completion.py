"""The modes that stream the model's text itself."""

from functools import partial
from typing import Any

from fastapi import Response

from chat_service.api.dependencies import CompletionsDep, streaming_routes
from chat_service.api.stream import STREAMED_TEXT, AnswerStream
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.schemas import CompletionRequest, FastchatRequest
from chat_service.wire import RawText

router = streaming_routes(STREAMED_TEXT)


@router.post("/chat/fastchat", summary="Messages to a model, its text back")
async def fastchat(body: FastchatRequest, completions: CompletionsDep) -> Response:
    messages = [Message(message.role, message.content) for message in body.messages]
    answer = partial(completions.chat, messages, body.model, _sampling(body))
    return AnswerStream(answer, RawText(), whole=not body.stream)


@router.post("/other/completion", summary="A prompt continued")
async def completion(body: CompletionRequest, completions: CompletionsDep) -> Response:
    answer = partial(
        completions.complete,
        body.query,
        body.model_name,
        Sampling(body.temperature, body.token_limit),
        prompt_name=body.prompt_name,
        echo=body.echo,
    )
    return AnswerStream(answer, RawText(), whole=not body.stream)


def _sampling(body: FastchatRequest) -> Sampling:
    """Only what says something: not every vendor knows every parameter."""
    more: dict[str, Any] = {
        "stop": body.stop,
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
    }
    limit = body.max_tokens if body.max_tokens and body.max_tokens > 0 else None
    return Sampling(body.temperature, limit, {name: value for name, value in more.items() if value})
