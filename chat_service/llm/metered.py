"""A model whose tokens count for whose request it is."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from chat_service.history import Message, estimate_tokens
from chat_service.llm import ChatModel, Reply, Sampling
from chat_service.metering import Meter, account
from chat_service.usage_entities import Account


class MeteredModel:
    """The quota is asked before the model, and what it used is counted however the answer ends."""

    def __init__(self, model: ChatModel, name: str, meter: Meter) -> None:
        self._model, self._name, self._meter = model, name, meter

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        who = account.get()
        reply = reply or Reply()
        if who is not None:  # else nobody's request: an operator tries the model out
            await self._meter.admit(who)
        said: list[str] = []
        try:
            async with aclosing(self._model.stream(messages, sampling, reply)) as stream:
                async for tokens in stream:
                    said += tokens
                    yield tokens
        finally:
            begun = said or reply.thoughts or reply.tool_calls or reply.prompt_tokens is not None
            if who is not None and begun:
                self._count(who, messages, sampling, reply, "".join(said))

    def _count(
        self,
        who: Account,
        messages: Sequence[Message],
        sampling: Sampling,
        reply: Reply,
        said: str,
    ) -> None:
        model = reply.model or self._name
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            told = reply.prompt_tokens, reply.completion_tokens
            self._meter.note(who, model, told, estimated=False)
            return
        asked = _estimate(sampling.more.get("messages", messages))
        answered = estimate_tokens(said + reply.reasoning)
        self._meter.note(who, model, (asked, answered), estimated=True)


def _estimate(messages: Sequence[Message | Mapping[str, Any]]) -> int:
    return sum(
        estimate_tokens(message.content if isinstance(message, Message) else str(message))
        for message in messages
    )
