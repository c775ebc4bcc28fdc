"""The pipeline: history, condense, retrieve, prompt, model, stream, store."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from chat_service import offline
from chat_service.clients import KbClient, Passage, PastTurn, SessionClient, Turn
from chat_service.errors import AnswerFailed, ModelError, SessionBusy
from chat_service.fitting import fitting, prompt_budget
from chat_service.follow_up import standalone
from chat_service.history import (
    ASSISTANT,
    USER,
    Message,
    conversation,
    estimate_tokens,
    normalise,
)
from chat_service.images import defused, without_images
from chat_service.in_turn import InTurn
from chat_service.llm import Models, Reply, Sampling
from chat_service.metering import note_knowledge_base
from chat_service.outbox import DONE, FAILED, INTERRUPTED, Draft, Outbox
from chat_service.prompt_registry import Prompts
from chat_service.prompts import DEFAULT, fence, fill
from chat_service.vendors import Vendor
from chat_service.wire import Citation, Reader, document_list
from servicekit.errors import ServiceError, Unavailable

_RECENT_TURNS = 5
_STORE_TIMEOUT = 20
_LONGEST_RETRIEVED = 4000
_KB_AWAY = "知识库暂时无法检索，请稍后再试。The knowledge base cannot be searched right now."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; without a knowledge base it is free chat, without history it is the stored."""

    query: str
    caller: str
    session_id: str | None = None
    turn_id: str | None = None
    history: Sequence[Message] | None = None
    model_name: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    prompt_name: str = DEFAULT
    knowledge_base: str | None = None
    top_k: int = 3
    score_threshold: float = 1
    filter: Mapping[str, Any] | None = None

    @property
    def chat_type(self) -> str:
        return "llm_chat" if self.knowledge_base is None else "knowledge_base_chat"


class Answering:
    """Answers questions.

    A prompt with its history is as long as the model's context, or `context_tokens` where that is
    not known. `no_answer` is said when a knowledge base holds nothing; empty: the model answers.
    """

    def __init__(
        self,
        *,
        sessions: SessionClient,
        kb: KbClient,
        models: Models,
        outbox: Outbox,
        context_tokens: int,
        prompts: Prompts,
        no_answer: str = "",
    ) -> None:
        self._prompts = prompts
        self._sessions, self._kb, self._models, self._outbox = sessions, kb, models, outbox
        self._context_tokens, self._no_answer = context_tokens, no_answer
        self._in_turn = InTurn()

    async def admit(self, question: Question) -> None:
        """Raises NotFound where the caller sees no such knowledge base."""
        if question.knowledge_base is not None:
            await self._kb.require(question.knowledge_base, caller=question.caller)
            note_knowledge_base(question.knowledge_base)

    async def begin(self, question: Question) -> Turn:
        """Store the question. Raises NotFound, Refused, Unavailable before anything is said."""
        await self.admit(question)
        return await self._sessions.begin(
            caller=question.caller,
            session_id=question.session_id,
            turn_id=question.turn_id,
            chat_type=question.chat_type,
            query=question.query,
            knowledge_base=question.knowledge_base,
        )

    async def answer(
        self, question: Question, turn: Turn, reader: Reader, reply: Reply | None = None
    ) -> None:
        """Say the answer, and store it however that ends: the reader may leave at any moment."""
        try:
            async with self.recorded(turn, question.session_id) as draft:
                await self._answer(question, draft, reader, reply or Reply())
        except SessionBusy as busy:
            await reader.unanswered(busy)
            if question.knowledge_base is not None:
                await reader.docs(None)

    async def answer_unstored(
        self, question: Question, reader: Reader, reply: Reply | None = None
    ) -> None:
        """Say the answer to somebody who keeps the conversation elsewhere."""
        await self._answer(question, Draft.unstored(), reader, reply or Reply())

    @asynccontextmanager
    async def recorded(self, turn: Turn, session_id: str | None) -> AsyncIterator[Draft]:
        """A draft that is stored in the end, whatever happens; one at a time in a session.

        Raises SessionBusy.
        """
        draft = self._outbox.open(turn)
        async with AsyncExitStack() as held:  # until it is stored: the next reads it as history
            try:
                await held.enter_async_context(self._in_turn.alone(session_id))
                yield draft
            except SessionBusy as busy:
                draft.state, draft.pieces = FAILED, [str(busy)]
                raise
            finally:
                with anyio.move_on_after(_STORE_TIMEOUT, shield=True) as storing:
                    await self._store(draft)
                if storing.cancelled_caught:
                    logger.error("the answer of turn %s could not be stored in time", turn.id)

    async def _store(self, draft: Draft) -> None:
        try:
            await self._outbox.finish(draft)
        except Exception:  # the boundary of the stream: what was said stays said
            logger.exception("the answer of turn %s could not be stored", draft.turn.id)

    async def _answer(self, question: Question, draft: Draft, reader: Reader, reply: Reply) -> None:
        citations: list[Citation] | None = None
        failure: ServiceError | None = None
        try:
            allowed = await self._models.screen.question(question.query)
            question = replace(question, query=allowed)
            earlier = await self._history(question, draft.turn)
            history = self._models.screen.known(normalise(earlier))
            passages = await self._retrieve(question, history)
            if question.knowledge_base is not None and (passages or not self._no_answer):
                citations = _citations(question.knowledge_base, passages)
                draft.docs = document_list(citations)
            await _say(self._speak(question, history, passages, reply), draft, reader)
            draft.state = DONE
        except ModelError as error:
            logger.warning("turn %s: %s", draft.turn.id, error.detail)
            failure = error
        except ServiceError as error:
            logger.warning("turn %s: %s", draft.turn.id, error)
            failure = Unavailable(_KB_AWAY, retry_after=error.retry_after)
        except Exception:  # the boundary of the stream: it ends with a sentence
            logger.exception("turn %s failed", draft.turn.id)
            failure = AnswerFailed()
        if failure:
            await _explain(failure, draft, reader)
        if question.knowledge_base is not None:
            await reader.docs(citations)

    async def _history(self, question: Question, turn: Turn) -> Sequence[Message]:
        """What the client sent; when it sent none, the recent turns of its session."""
        if question.history is not None:
            return question.history
        if not question.session_id:
            return []
        try:
            turns = await self._sessions.recent(
                question.session_id, caller=question.caller, limit=_RECENT_TURNS + 1
            )
        except ServiceError as error:
            logger.warning("turn %s is answered without its history: %s", turn.id, error)
            return []
        return _said([past for past in turns if past.id != turn.id])

    async def _retrieve(self, question: Question, history: list[Message]) -> list[Passage]:
        """Passages as they are shown and read: pictures from elsewhere are links."""
        if question.knowledge_base is None or not question.top_k:
            return []
        asked = await standalone(self._models, question.model_name, history, question.query)
        found = await self._kb.search(
            question.knowledge_base,
            caller=question.caller,
            query=asked[:_LONGEST_RETRIEVED],
            top_k=question.top_k,
            score_threshold=question.score_threshold,
            filter=question.filter,
        )
        return [replace(passage, content=defused(passage.content)) for passage in found]

    async def _speak(
        self, question: Question, history: list[Message], passages: list[Passage], reply: Reply
    ) -> AsyncGenerator[list[str], None]:
        vendor = self._models.choose(question.model_name)
        contents = [passage.content for passage in passages]
        if self._no_answer and question.knowledge_base is not None and not contents:
            yield [self._no_answer]
        elif vendor.offline and question.knowledge_base is None:
            yield [offline.without_model(question.query)]
        elif vendor.offline:
            yield self._models.screen.whole_answer(offline.extract(question.query, contents))
        else:
            messages = self._messages(question, history, contents, vendor)
            model = self._models.answering(vendor)
            async with aclosing(model.stream(messages, question.sampling, reply)) as stream:
                async for tokens in stream:
                    yield tokens

    def _messages(
        self, question: Question, history: list[Message], contents: list[str], vendor: Vendor
    ) -> list[Message]:
        """The prompt with as many passages as fit, and before it as much history as still does."""
        budget = prompt_budget(vendor, question.sampling, self._context_tokens)
        empty = question.knowledge_base is not None and not contents
        template = self._prompts.choose(
            question.chat_type, "Empty" if empty else question.prompt_name, question.query
        )
        values = {"input": question.query, "question": question.query}
        bare = estimate_tokens(fill(template, values))
        context = fence(fitting(contents, budget - bare))
        prompt = fill(template, values | {"context": context})
        return conversation(history, query=question.query, prompt=prompt, budget=budget)


def _citations(knowledge_base: str, passages: list[Passage]) -> list[Citation]:
    return [
        Citation(knowledge_base, passage.file_name, passage.content, passage.metadata)
        for passage in passages
    ]


async def _say(speech: AsyncGenerator[list[str], None], draft: Draft, reader: Reader) -> None:
    async with aclosing(without_images(speech)) as stream:
        async for tokens in stream:
            if tokens:
                draft.pieces += tokens
                await reader.text(tokens)


async def _explain(failure: ServiceError, draft: Draft, reader: Reader) -> None:
    """The sentence that says what went wrong, after what was already said."""
    draft.state = FAILED
    if draft.pieces:
        sentence = f"\n\n{failure}"
        draft.pieces.append(sentence)
        await reader.text([sentence])
    else:
        draft.pieces.append(str(failure))
        await reader.unanswered(failure)


def _said(turns: list[PastTurn]) -> list[Message]:
    """Answered turns as messages; what a failed one ended with was not said by the model."""
    messages = []
    for turn in turns[-_RECENT_TURNS:]:
        if turn.state in (DONE, INTERRUPTED) and turn.response:
            messages += [Message(USER, turn.query), Message(ASSISTANT, turn.response)]
    return messages
