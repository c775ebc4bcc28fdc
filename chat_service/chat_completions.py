"""OpenAI's chat completions: a model as it is, or a knowledge base as a model."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from chat_service.answer import Answering, Question
from chat_service.clients import KbClient
from chat_service.errors import ModelError, NoSuchKnowledgeBase, NoSuchModel
from chat_service.history import SYSTEM, USER, Message, estimate_tokens, unanswered_from
from chat_service.llm import Models, Reply, Sampling
from chat_service.openai_schemas import ChatMessage, Usage
from chat_service.outbox import DONE, FAILED, Draft
from chat_service.suggestions import suggested
from chat_service.vendors import Vendor
from chat_service.wire import Reader
from servicekit.errors import Invalid

KB_PREFIX = "kb:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request; with a session id the question and its answer are kept there."""

    model: str
    messages: Sequence[ChatMessage]
    caller: str
    sampling: Sampling = field(default_factory=Sampling)
    session_id: str | None = None
    top_k: int = 3
    score_threshold: float = 1
    filter: Mapping[str, Any] | None = None


class Listener(Reader, Protocol):
    """Whoever hears the answer, and what comes besides its text."""

    async def thoughts(self, thoughts: list[str]) -> None: ...
    async def tool_calls(self, deltas: list[Any]) -> None: ...


Run = Callable[[Listener, Reply], Awaitable[None]]


class ChatCompletions:
    """Answers requests of OpenAI's clients."""

    def __init__(self, *, answering: Answering, models: Models, kb: KbClient) -> None:
        self._answering, self._models, self._kb = answering, models, kb

    async def knowledge_bases(self, *, caller: str) -> list[str]:
        """Names of models that are knowledge bases."""
        return [f"{KB_PREFIX}{kb.name}" for kb in await self._kb.listed(caller=caller)]

    async def require(self, model: str, *, caller: str) -> None:
        """Raises NoSuchModel."""
        if model.startswith(KB_PREFIX):
            with _as_models():
                await self._kb.require(model.removeprefix(KB_PREFIX), caller=caller)
        elif self._models.find(model) is None:
            raise NoSuchModel(model)

    async def prepare(self, asked: Asked) -> Run:
        """Everything that may be refused is, before anything is said.

        Raises NoSuchModel, Invalid, NotFound, Refused, Unavailable.
        """
        if asked.model.startswith(KB_PREFIX):
            with _as_models():
                return await self._prepared(asked, asked.model.removeprefix(KB_PREFIX))
        vendor = self._models.find(asked.model)
        if vendor is None:
            raise NoSuchModel(asked.model)
        if vendor.offline:
            return await self._prepared(asked, None)
        turn = None
        if asked.session_id:
            turn = await self._answering.begin(_question(asked, None))
        return partial(self._relay, asked, vendor, turn)

    async def follow_ups(self, asked: Asked, answer: str) -> list[str]:
        """Questions that may come next; none offline, or when nothing was said."""
        vendor = self._models.find(asked.model) or self._models.choose("")
        if vendor.offline or not answer.strip():
            return []
        model, question = self._models.condensing(vendor), asked.messages[-1].text
        return await suggested(model, self._models.screen, question, answer)

    async def _prepared(self, asked: Asked, knowledge_base: str | None) -> Run:
        """Through the pipeline that the old wire's answers come from."""
        question = _question(asked, knowledge_base)
        if asked.sampling.more.get("tools"):
            raise Invalid("This model takes no tools. 该模型不支持工具调用。")
        if asked.session_id:
            turn = await self._answering.begin(question)
            return partial(self._answering.answer, question, turn)
        await self._answering.admit(question)
        return partial(self._answering.answer_unstored, question)

    async def _relay(
        self, asked: Asked, vendor: Vendor, turn: Any, listener: Listener, reply: Reply
    ) -> None:
        """What the vendor says, with its thoughts and tool calls. Raises ModelError."""
        async with AsyncExitStack() as stack:
            draft = Draft.unstored()
            if turn is not None:
                draft = await stack.enter_async_context(
                    self._answering.recorded(turn, asked.session_id)
                )
            more = _Beside(reply, listener)
            try:
                messages, sampling = _sent(asked, await self._allowed(asked.messages))
                answers = self._models.answering(vendor).stream(messages, sampling, reply)
                stream = await stack.enter_async_context(aclosing(answers))
                async for tokens in stream:
                    await more.tell()
                    if tokens:
                        draft.pieces += tokens
                        await listener.text(tokens)
            except ModelError:
                draft.state = FAILED
                raise
            await more.tell()
            draft.state = DONE

    async def _allowed(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """What users say, as the model may read it. Raises WordsBlocked, QuestionRefused."""
        asked = unanswered_from([message.role for message in messages])
        return [
            await self._allowed_message(message, is_known=at < asked)
            if message.role == USER and message.content
            else message
            for at, message in enumerate(messages)
        ]

    async def _allowed_message(self, message: ChatMessage, *, is_known: bool) -> ChatMessage:
        async def allowed(text: str) -> str:
            screen = self._models.screen
            return screen.known_question(text) if is_known else await screen.question(text)

        content = message.content
        if isinstance(content, str):
            return message.model_copy(update={"content": await allowed(content)})
        parts = [
            {**part, "text": await allowed(str(part["text"]))} if "text" in part else part
            for part in content or ()
        ]
        return message.model_copy(update={"content": parts})


def _sent(asked: Asked, said: list[ChatMessage]) -> tuple[list[Message], Sampling]:
    """Messages as text, and in the sampling as they came where they are more than that."""
    messages = [Message(message.role, message.text) for message in said]
    if all(message.is_plain for message in said):
        return messages, asked.sampling
    sent = {"messages": [message.as_sent() for message in said]}  # tool calls, pictures
    return messages, replace(asked.sampling, more={**asked.sampling.more, **sent})


@contextmanager
def _as_models() -> Iterator[None]:
    """A knowledge base that is missing is a model that is missing."""
    try:
        yield
    except NoSuchKnowledgeBase as missing:
        raise NoSuchModel(f"{KB_PREFIX}{missing.name}") from None


class _Beside:
    """Tells what came besides the text since the last time."""

    def __init__(self, reply: Reply, listener: Listener) -> None:
        self._reply, self._listener = reply, listener
        self._thoughts = self._calls = 0

    async def tell(self) -> None:
        thoughts, calls = self._reply.thoughts, self._reply.tool_calls
        if len(thoughts) > self._thoughts:
            new_thoughts, self._thoughts = thoughts[self._thoughts :], len(thoughts)
            await self._listener.thoughts(new_thoughts)
        if len(calls) > self._calls:
            new_calls, self._calls = calls[self._calls :], len(calls)
            await self._listener.tool_calls(new_calls)


def _question(asked: Asked, knowledge_base: str | None) -> Question:
    """The last message is the question, what is before it the history. Raises Invalid."""
    *before, last = asked.messages
    if last.role != USER or not last.text.strip():
        raise Invalid("The last message must be the user's. 最后一条消息必须是用户的提问。")
    return Question(
        query=last.text,
        caller=asked.caller,
        session_id=asked.session_id,
        history=[
            Message(SYSTEM if said.role == "developer" else said.role, said.text) for said in before
        ],
        model_name="" if knowledge_base is not None else asked.model,
        sampling=asked.sampling,
        knowledge_base=knowledge_base,
        top_k=asked.top_k,
        score_threshold=asked.score_threshold,
        filter=asked.filter,
    )


def usage(asked: Asked, reply: Reply, text: str) -> Usage:
    """As the vendor counted, else our estimate."""
    prompt = reply.prompt_tokens
    if prompt is None:
        prompt = sum(estimate_tokens(message.text) for message in asked.messages)
    completion = reply.completion_tokens
    if completion is None:
        completion = estimate_tokens(text)
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
