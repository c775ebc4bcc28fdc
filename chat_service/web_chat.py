"""Answers from the web: search, prompt, model, sources; nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from chat_service import offline
from chat_service.fitting import prompt_budget
from chat_service.follow_up import standalone
from chat_service.history import Message, conversation, normalise
from chat_service.llm import Models, Sampling
from chat_service.prompt_registry import Prompts
from chat_service.prompts import DEFAULT, fence, fill
from chat_service.unstored import Speaker
from chat_service.web_search import Found
from chat_service.web_search.choice import WebSearch
from chat_service.wire import Reader, WebPage

_KIND = "search_engine_chat"
_LONGEST_QUERY = 400
_LEAST_EXCERPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WebQuestion:
    """One question to the web; `split` keeps the best pieces of long pages."""

    query: str
    engine: str
    history: Sequence[Message] = ()
    top_k: int = 3
    split: bool = False
    model_name: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    prompt_name: str = DEFAULT


class WebChat:
    """A prompt with its history fits the model's context, or else `context_tokens`."""

    def __init__(
        self, search: WebSearch, models: Models, prompts: Prompts, *, context_tokens: int
    ) -> None:
        self._search, self._models, self._prompts = search, models, prompts
        self._context_tokens = context_tokens

    def check(self, question: WebQuestion) -> None:
        """Raises NotFound before anything is said."""
        self._search.require(question.engine)

    async def answer(self, question: WebQuestion, reader: Reader) -> None:
        speaker = Speaker(reader)
        pages: list[WebPage] | None = None  # until the search is done

        async def work() -> None:
            nonlocal pages
            screen = self._models.screen
            allowed = await screen.question(question.query)
            history = screen.known(normalise(question.history))
            asked = replace(question, query=allowed, history=history)
            found = await self._find(asked)
            pages = [WebPage(result.url, result.snippet) for result in found]
            await self._speak(asked, found, speaker)

        await speaker.explain(work())
        await reader.docs(pages)

    async def _find(self, question: WebQuestion) -> list[Found]:
        if not question.top_k:
            return []
        asked = await standalone(
            self._models, question.model_name, question.history, question.query
        )
        return await self._search.search(
            question.engine,
            asked[:_LONGEST_QUERY],
            limit=question.top_k,
            split=question.split,
        )

    async def _speak(self, question: WebQuestion, found: list[Found], speaker: Speaker) -> None:
        vendor = self._models.choose(question.model_name)
        if vendor.offline:
            snippets = [result.snippet for result in found]
            said = offline.extract(question.query, snippets)
            await speaker.say(self._models.screen.whole_answer(said))
            return
        budget = prompt_budget(vendor, question.sampling, self._context_tokens)
        messages = conversation(
            question.history,
            query=question.query,
            prompt=self._prompt(question, found, budget),
            budget=budget,
        )
        await speaker.relay(self._models.answering(vendor), messages, question.sampling)

    def _prompt(self, question: WebQuestion, found: list[Found], budget: int) -> str:
        """The question in the template that it names, pages as data in two thirds of the space."""
        name = question.prompt_name if found else "Empty"
        template = self._prompts.choose(_KIND, name, question.query)
        share = max(_LEAST_EXCERPT, budget * 2 // 3 // max(len(found), 1))
        excerpts = [f"{result.title}\n{result.snippet}"[:share] for result in found]
        values = {"question": question.query, "context": fence(excerpts)}
        return fill(template, values)
