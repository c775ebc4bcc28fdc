"""A model whose answer, thoughts included, is said without the words of operators' lists."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from chat_service.errors import WordsBlocked
from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling
from chat_service.screening import Screen
from chat_service.words import WordFilter


class ScreenedModel:
    """A word that blocks ends the answer: the vendor is not listened to any longer."""

    def __init__(self, model: ChatModel, screen: Screen) -> None:
        self._model, self._screen = model, screen

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        words, thoughts = self._screen.answer(), self._screen.answer()
        async with aclosing(self._model.stream(messages, sampling, reply)) as stream:
            if words is None or thoughts is None:
                async for tokens in stream:
                    yield tokens
                return
            thought = len(reply.thoughts)
            try:
                async for tokens in stream:
                    reply.thoughts[thought:] = _shown(thoughts, reply.thoughts[thought:])
                    thought = len(reply.thoughts)
                    yield _shown(words, tokens)
                    if words.is_blocked or thoughts.is_blocked:
                        raise WordsBlocked
                reply.thoughts += _shown(thoughts, [], ended=True)
                yield _shown(words, [], ended=True)
                if words.is_blocked or thoughts.is_blocked:
                    raise WordsBlocked
            finally:
                self._screen.note(words, "answer")
                self._screen.note(thoughts, "answer")


def _shown(words: WordFilter, pieces: list[str], *, ended: bool = False) -> list[str]:
    shown = [words.feed(piece) for piece in pieces]
    if ended:
        shown.append(words.close())
    return [piece for piece in shown if piece]
