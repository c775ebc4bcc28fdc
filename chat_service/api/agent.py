"""Chat with an agent."""

from functools import partial
from typing import Annotated

from fastapi import Response

from chat_service.agent.chat import Task
from chat_service.api.dependencies import AgentChatDep, CallerHeader, may_chat, streaming_routes
from chat_service.api.stream import STREAMED, AnswerStream
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.schemas import AgentChatRequest
from chat_service.wire import Format
from servicekit.identity import Caller

router = streaming_routes(STREAMED)


@router.post("/chat/agent_chat", summary="Chat with an agent that uses tools")
async def agent_chat(
    body: AgentChatRequest,
    caller: Annotated[Caller, may_chat],
    header: CallerHeader,
    agent: AgentChatDep,
) -> Response:
    task = Task(
        query=body.query,
        caller=header,
        client_id=caller.client_id,
        history=[Message(item.role, item.content) for item in body.history],
        model_name=body.model_name,
        sampling=Sampling(body.temperature, body.token_limit),
        prompt_name=body.prompt_name,
    )
    return AnswerStream(partial(agent.answer, task), Format.agent(), whole=not body.stream)
