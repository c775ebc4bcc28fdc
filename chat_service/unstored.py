"""What the modes share whose turns nobody stores: a failure becomes a sentence of the answer."""

import logging
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from typing import Protocol

from chat_service.errors import AnswerFailed, ModelError, SearchFailed
from chat_service.history import Message
from chat_service.images import ImageFilter
from chat_service.llm import ChatModel, Sampling
from servicekit.errors import ServiceError

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Whoever hears the answer."""

    async def text(self, tokens: list[str]) -> None: ...


class Speaker:
    """Says an answer to its listener, and how it ended when that was not well."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._images = ImageFilter()
        self.said: list[str] = []

    async def say(self, tokens: list[str]) -> None:
        """Without remote images."""
        await self._tell([shown for token in tokens if (shown := self._images.feed(token))])

    async def _tell(self, tokens: list[str]) -> None:
        if tokens:
            self.said += tokens
            await self._listener.text(tokens)

    async def flush(self) -> None:
        """Say what was held back: something else comes, or the end."""
        if rest := self._images.close():
            await self._tell([rest])

    async def relay(
        self, model: ChatModel, messages: Sequence[Message], sampling: Sampling
    ) -> None:
        """Say all that the model does. Raises ModelError."""
        async with aclosing(model.stream(messages, sampling)) as stream:
            async for tokens in stream:
                await self.say(tokens)
        await self.flush()

    async def explain(self, work: Awaitable[None]) -> str:
        """Do the work; when it fails, say so after what was already said, and return that."""
        try:
            await work
            await self.flush()
            return ""
        except (ModelError, SearchFailed) as error:
            logger.warning("%s", error.detail)
            failure = str(error)
        except ServiceError as error:
            logger.warning("%s", error)
            failure = str(error)
        except Exception:  # the boundary of the stream: it ends with a sentence
            logger.exception("an answer failed")
            failure = str(AnswerFailed())
        await self.flush()
        await self._tell([f"\n\n{failure}" if self.said else failure])
        return failure
