"""The routes of chat_service, and the response that streams an answer."""

import time
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Receive, Scope, Send

from chat_service import prompts
from chat_service.answer import Answering, Question
from chat_service.clients import Turn
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.schemas import (
    ChatRequest,
    KnowledgeBaseChatRequest,
    ModelConfig,
    ModelConfigRequest,
    ModelConfigs,
    OneModelConfig,
    PromptRequest,
    RunningModelsRequest,
    ServerConfigs,
)
from chat_service.vendors import Vendor, Vendors
from chat_service.wire import Citation, Format, docs_chunk, document_list
from servicekit.errors import EnvelopeRoute, NotFound
from servicekit.identity import CALLER_HEADER, Caller, require_scope

_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


_may_chat = require_scope("chat")


def _caller_header(request: Request, _: Annotated[Caller, _may_chat]) -> str:
    return request.headers[CALLER_HEADER]


def _answering(request: Request) -> Answering:
    answering: Answering = request.app.state.answering
    return answering


def _vendors(request: Request) -> Vendors:
    vendors: Vendors = request.app.state.vendors
    return vendors


CallerHeader = Annotated[str, Depends(_caller_header)]
AnsweringDep = Annotated[Answering, Depends(_answering)]
VendorsDep = Annotated[Vendors, Depends(_vendors)]

router = APIRouter(route_class=EnvelopeRoute, dependencies=[_may_chat])
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Bare JSON objects, one a token; or the error envelope as one JSON object",
        "content": {"text/event-stream": {}, "application/json": {}},
    }
}


@router.post(
    "/chat/chat",
    tags=["chat"],
    summary="Chat with a model",
    response_class=Response,
    responses=_STREAM,
)
async def chat(body: ChatRequest, caller: CallerHeader, answering: AnsweringDep) -> Response:
    question = Question(**_asked(body, caller))
    turn = await answering.begin(question)
    return AnswerStream(answering, question, turn, Format.llm(turn.id), whole=not body.stream)


@router.post(
    "/chat/knowledge_base_chat",
    tags=["chat"],
    summary="Chat with a knowledge base",
    response_class=Response,
    responses=_STREAM,
)
async def knowledge_base_chat(
    body: KnowledgeBaseChatRequest, caller: CallerHeader, answering: AnsweringDep
) -> Response:
    question = Question(
        **_asked(body, caller),
        knowledge_base=body.knowledge_base_name,
        top_k=body.top_k,
        score_threshold=body.score_threshold,
    )
    turn = await answering.begin(question)
    return AnswerStream(answering, question, turn, Format.knowledge_base(), whole=not body.stream)


@router.post("/llm_model/list_config_models", tags=["models"], summary="Every model we know")
async def list_config_models(vendors: VendorsDep) -> ModelConfigs:
    known = vendors.known.values()
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in known if v.online})


@router.post("/llm_model/list_running_models", tags=["models"], summary="Models that can answer")
async def list_running_models(
    vendors: VendorsDep, _: RunningModelsRequest | None = None
) -> ModelConfigs:
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in vendors.usable.values()})


@router.post("/llm_model/get_model_config", tags=["models"], summary="One model")
async def get_model_config(body: ModelConfigRequest, vendors: VendorsDep) -> OneModelConfig:
    vendor = vendors.known.get(body.model_name)
    if vendor is None:
        raise NotFound(f"未找到模型 {body.model_name}")
    return OneModelConfig(data=_shown(vendor, vendors))


@router.post("/server/configs", tags=["server"], summary="Values that clients may want to show")
async def server_configs(request: Request, vendors: VendorsDep) -> ServerConfigs:
    return ServerConfigs(
        api_address=request.app.state.server_address,
        LLM_MODELS=[vendors.default.name],
        PROMPT_TEMPLATES=prompts.PROMPTS,
    )


@router.post(
    "/server/get_prompt_template", tags=["server"], summary="A prompt template by type and name"
)
async def get_prompt_template(body: PromptRequest) -> str:
    template = prompts.find(body.type, body.name)
    if template is None:
        raise NotFound(f"未找到提示词模板 {body.type}.{body.name}")
    return template


class AnswerStream(Response):
    """Sends the headers at once, then the answer; notices at once when the client leaves."""

    media_type = "text/event-stream"

    def __init__(
        self,
        answering: Answering,
        question: Question,
        turn: Turn,
        fmt: Format,
        *,
        whole: bool,
        keep_alive_every: float = 10,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._answering, self._question, self._turn = answering, question, turn
        self._format, self._whole, self._keep_alive_every = fmt, whole, keep_alive_every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        kind = _WholeReader if self._whole else _StreamReader
        reader = kind(send, self._format)
        async with anyio.create_task_group() as group:
            group.start_soon(_until_client_leaves, receive, group.cancel_scope)
            group.start_soon(reader.keep_alive, self._keep_alive_every)
            await self._answering.answer(self._question, self._turn, reader)
            group.cancel_scope.cancel()
        await reader.end()


class _StreamReader:
    """Writes whole objects as the answer comes, and a sign of life in long silences."""

    def __init__(self, send: Send, fmt: Format) -> None:
        self._send, self._format = send, fmt
        self._wrote_at = time.monotonic()

    async def text(self, tokens: list[str]) -> None:
        for write in self._format.text(tokens):
            await self._write(write)

    async def docs(self, citations: list[Citation]) -> None:
        await self._write(docs_chunk(citations))

    async def keep_alive(self, every: float) -> None:
        while True:
            silence = time.monotonic() - self._wrote_at
            if silence >= every:
                await self._write(self._format.keep_alive)
            else:
                await anyio.sleep(every - silence)

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _write(self, body: bytes) -> None:
        self._wrote_at = time.monotonic()
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


class _WholeReader:
    """Collects the answer and writes it as one object."""

    def __init__(self, send: Send, fmt: Format) -> None:
        self._send, self._format = send, fmt
        self._said: list[str] = []
        self._docs: list[str] = []

    async def text(self, tokens: list[str]) -> None:
        self._said += tokens

    async def docs(self, citations: list[Citation]) -> None:
        self._docs = document_list(citations)

    async def keep_alive(self, every: float) -> None:
        """One object only: nothing may come before it."""

    async def end(self) -> None:
        body = self._format.whole("".join(self._said), self._docs)
        await self._send({"type": "http.response.body", "body": body})


async def _until_client_leaves(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _asked(body: ChatRequest, caller: str) -> dict[str, Any]:
    history = None
    if body.history is not None:
        history = [Message(item.role, item.content) for item in body.history]
    limit = body.max_tokens if body.max_tokens and body.max_tokens > 0 else None
    return {
        "caller": caller,
        "query": body.query,
        "session_id": body.session_id,
        "turn_id": body.chat_history_id or None,
        "history": history,
        "model_name": body.model_name,
        "sampling": Sampling(body.temperature, limit),
        "prompt_name": body.prompt_name,
    }


def _shown(vendor: Vendor, vendors: Vendors) -> ModelConfig:
    return ModelConfig(
        provider=vendor.name,
        version=vendor.model,
        online_api=vendor.online,
        configured=vendor.name in vendors.usable,
        default=vendor == vendors.default,
    )
