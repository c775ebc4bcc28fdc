"""Raw completions: a prompt or messages in, the model's text out; nothing is stored."""

from collections.abc import Sequence

from chat_service import offline
from chat_service.fitting import prompt_budget
from chat_service.history import ASSISTANT, SYSTEM, USER, Message, estimate_tokens, unanswered_from
from chat_service.llm import Models, Sampling
from chat_service.prompt_registry import Prompts
from chat_service.prompts import fill
from chat_service.unstored import Listener, Speaker
from chat_service.vendors import Vendor

_ROLES = {"human": USER, "ai": ASSISTANT}


class Completions:
    """Messages fit the model's context, or else `context_tokens`."""

    def __init__(self, models: Models, prompts: Prompts, *, context_tokens: int) -> None:
        self._models, self._prompts = models, prompts
        self._context_tokens = context_tokens

    async def chat(
        self, messages: Sequence[Message], model_name: str, sampling: Sampling, listener: Listener
    ) -> None:
        """What the model says to these messages, which are sent as they are but for their roles."""
        speaker = Speaker(listener)
        known = [Message(_ROLES.get(m.role, m.role), m.content) for m in messages]
        vendor = self._models.choose(model_name)
        fitting = _newest(known, prompt_budget(vendor, sampling, self._context_tokens))
        await speaker.explain(self._relay(fitting, vendor, sampling, speaker))

    async def complete(
        self,
        query: str,
        model_name: str,
        sampling: Sampling,
        listener: Listener,
        *,
        prompt_name: str,
        echo: bool,
    ) -> None:
        """The query continued; `echo` repeats it first."""
        template = self._prompts.choose("completion", prompt_name, query)
        messages = [Message(USER, fill(template, {"input": query}))]
        vendor, speaker = self._models.choose(model_name), Speaker(listener)
        if echo:
            await speaker.say([query])
        await speaker.explain(self._relay(messages, vendor, sampling, speaker))

    async def _relay(
        self, messages: list[Message], vendor: Vendor, sampling: Sampling, speaker: Speaker
    ) -> None:
        screen, asked = self._models.screen, unanswered_from([m.role for m in messages])
        messages = screen.known(messages[:asked]) + [
            Message(USER, await screen.question(m.content)) if m.role == USER else m
            for m in messages[asked:]
        ]
        if vendor.offline:
            await speaker.say([offline.without_model(messages[-1].content)])
            return
        await speaker.relay(self._models.answering(vendor), messages, sampling)


def _newest(messages: list[Message], budget: int) -> list[Message]:
    """The last message, what came before it while it fits, and system messages always."""
    kept: list[Message] = []
    for at, message in reversed(list(enumerate(messages))):
        budget -= estimate_tokens(message.content)
        if budget >= 0 or message.role == SYSTEM or at == len(messages) - 1:
            kept.append(message)
    return kept[::-1]
