"""Several models as one: a gate before each, and others to fall back to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from chat_service.errors import ModelBusy, ModelError, ModelFiltered
from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling

_RETRY_AFTER = 5

logger = logging.getLogger(__name__)


class Gate:
    """At most `limit` answers of a model at once; twice as many may wait, not longer than that."""

    def __init__(self, limit: int, *, patience: float) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._most_waiting, self._patience = 2 * limit, patience
        self._waiting = 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Raises ModelBusy."""
        if self._slots.locked() and self._waiting >= self._most_waiting:
            raise ModelBusy("our queue for this model is full", retry_after=_RETRY_AFTER)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._slots.acquire()
        except TimeoutError:
            detail = "waited too long in our queue for this model"
            raise ModelBusy(detail, retry_after=_RETRY_AFTER) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


class GatedModel:
    """A model behind a gate."""

    def __init__(self, model: ChatModel, gate: Gate) -> None:
        self._model, self._gate = model, gate

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        async with (
            self._gate.entered(),
            aclosing(self._model.stream(messages, sampling, reply)) as stream,
        ):
            async for tokens in stream:
                yield tokens


class ChainedModel:
    """The first of several models that says something; the reply tells which one that was.

    What a content filter stopped is not taken to the next.
    """

    def __init__(self, models: Sequence[ChatModel]) -> None:
        self._models = models

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        first: ModelError | None = None
        for model in self._models:
            said = False
            try:
                async with aclosing(model.stream(messages, sampling, reply)) as stream:
                    async for tokens in stream:
                        said = said or bool(tokens or reply.tool_calls)
                        yield tokens
                return
            except ModelFiltered:
                raise
            except ModelError as error:
                if said:
                    raise
                first = first or error
                logger.warning("a model did not begin to answer: %s", error.detail)
            reply.start_over()
        assert first, "there is at least one model"
        raise first
