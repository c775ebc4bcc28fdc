"""Patience with vendors: deadlines, retries before the first token, a circuit, and a gate."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from chat_service.errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelPaused,
    ModelTimeout,
    ModelUnreachable,
)
from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling

_ATTEMPTS = 3
_LONGEST_WAIT = 8


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds to the first token, between tokens and in all."""

    first: float
    between: float
    total: float


class Circuit:
    """Leaves a vendor alone after failures in a row, then lets one request try.

    It also holds the budget of retries: a failing vendor is not asked three times by everybody.
    """

    def __init__(self, *, failures: int = 5, pause: float = 15, budget: float = 10) -> None:
        self._limit, self._pause, self._most = failures, pause, budget
        self._budget = budget
        self._failures = 0
        self._paused_until = 0.0

    def check(self) -> None:
        """Raises ModelPaused."""
        if self._failures < self._limit:
            return
        now = asyncio.get_running_loop().time()
        if now < self._paused_until:
            raise ModelPaused("the circuit is open")
        self._paused_until = now + self._pause  # this one is the probe

    def succeeded(self) -> None:
        self._failures = 0
        self._budget = min(self._most, self._budget + 0.1)

    def failed(self) -> None:
        self._failures += 1
        self._paused_until = asyncio.get_running_loop().time() + self._pause

    def may_retry(self) -> bool:
        return self._budget >= 1 and self._failures < self._limit

    def retrying(self) -> None:
        self._budget -= 1


class GuardedModel:
    """Any model with deadlines, retries and the circuit of its vendor."""

    def __init__(self, model: ChatModel, deadlines: Deadlines, circuit: Circuit) -> None:
        self._model, self._deadlines, self._circuit = model, deadlines, circuit

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        now = asyncio.get_running_loop().time
        end = now() + self._deadlines.total
        stream, tokens = await self._begin(messages, sampling, reply, end)
        said = False
        async with aclosing(stream):
            while tokens is not None:
                if tokens:
                    said = True
                yield tokens
                tokens = await _next(stream, min(end, now() + self._deadlines.between))
        if not said and not reply.tool_calls:
            raise ModelBroken.empty()

    async def _begin(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply, end: float
    ) -> tuple[AsyncGenerator[list[str], None], list[str] | None]:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception(self._worth_another),
            before_sleep=lambda _: self._circuit.retrying(),
            reraise=True,
        ):
            with attempt:
                return await self._try(messages, sampling, reply, end)
        raise AssertionError("tenacity raises the last error")

    async def _try(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply, end: float
    ) -> tuple[AsyncGenerator[list[str], None], list[str] | None]:
        self._circuit.check()
        stream = self._model.stream(messages, sampling, reply)
        by = asyncio.get_running_loop().time() + self._deadlines.first
        try:
            tokens = await _next(stream, min(end, by))
        except (ModelUnreachable, ModelTimeout):
            self._circuit.failed()
            raise
        self._circuit.succeeded()
        return stream, tokens

    def _worth_another(self, error: BaseException) -> bool:
        if isinstance(error, ModelPaused):
            return False
        if isinstance(error, ModelBusy) and (error.retry_after or 0) > _LONGEST_WAIT:
            return False
        return isinstance(error, ModelUnreachable | ModelBusy) and self._circuit.may_retry()


async def _next(stream: AsyncGenerator[list[str], None], by: float) -> list[str] | None:
    """The next tokens, None at the end. Raises ModelTimeout; a failed stream is closed."""
    try:
        async with asyncio.timeout_at(by):
            return await anext(stream, None)
    except TimeoutError:
        raise ModelTimeout("nothing came in time") from None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ModelError) and error.retry_after is not None:
        return float(error.retry_after)
    return min(_LONGEST_WAIT, 0.3 * 2.0**state.attempt_number)
