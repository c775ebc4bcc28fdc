"""Models behind one Protocol; the lean adapter and langchain's live in their own modules."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat_service.characters import whole_characters
from chat_service.history import Message
from chat_service.screening import Screen
from chat_service.vendors import Vendor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model picks its tokens; None leaves it to the vendor.

    `more` are further parameters of the chat completions API (`stop`, `tools` ...), sent as they
    are.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """What a model tells besides its text, filled in while its answer streams.

    `model` is the name of the one that answers, which after a fallback is not the one asked. Tokens
    are None when the vendor does not count them. `tool_calls` are the deltas as they came.
    """

    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str = ""
    thoughts: list[str] = field(default_factory=list)
    tool_calls: list[Any] = field(default_factory=list)

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered; never part of the answer."""
        return "".join(self.thoughts)

    def start_over(self) -> None:
        """Before another model is asked; thoughts stay, somebody may have read them."""
        self.model = self.finish_reason = ""
        self.prompt_tokens = self.completion_tokens = None

    def count(self, usage: Any) -> None:
        """Take the tokens of a `usage` object; vendors that send several send growing ones."""
        if not isinstance(usage, dict):
            return
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        self.prompt_tokens = prompt if isinstance(prompt, int) else self.prompt_tokens
        self.completion_tokens = (
            completion if isinstance(completion, int) else self.completion_tokens
        )


class ChatModel(Protocol):
    """Streams an answer: lists of tokens that are ready together; an empty list is a sign of life.

    Raises ModelError.
    """

    def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]: ...


class Models(Protocol):
    """The models of this installation, and what may be asked and said."""

    @property
    def screen(self) -> Screen: ...
    def find(self, name: str) -> Vendor | None: ...
    def choose(self, name: str) -> Vendor: ...
    def answering(self, vendor: Vendor) -> ChatModel: ...
    def condensing(self, vendor: Vendor) -> ChatModel: ...


async def complete(
    model: ChatModel,
    messages: Sequence[Message],
    sampling: Sampling | None = None,
    reply: Reply | None = None,
) -> str:
    """The whole answer at once, its characters whole too. Raises ModelError."""
    async with aclosing(model.stream(messages, sampling or Sampling(), reply)) as stream:
        said = [token async for together in stream for token in together]
    return whole_characters("".join(said))
