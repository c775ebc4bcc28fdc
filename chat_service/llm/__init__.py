"""Models behind one Protocol; the lean adapter and langchain's live in their own modules."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from chat_service.history import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model picks its tokens; None leaves it to the vendor."""

    temperature: float | None = None
    max_tokens: int | None = None


class ChatModel(Protocol):
    """Streams an answer: lists of tokens that are ready together; an empty list is a sign of life.

    Raises ModelError.
    """

    def stream(
        self, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncGenerator[list[str], None]: ...
