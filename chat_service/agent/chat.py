"""An agent's answer from beginning to end; nothing of it is stored."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import ModuleType

import anyio.to_thread

from chat_service import offline
from chat_service.agent.entities import Tool
from chat_service.agent.events import Answered, Said, Used
from chat_service.agent.toolbox import Toolbox
from chat_service.errors import ModelRefused, ModelTimeout
from chat_service.fitting import prompt_budget
from chat_service.history import Message, conversation, normalise
from chat_service.images import defused
from chat_service.llm import ChatModel, Models, Sampling
from chat_service.prompt_registry import Prompts
from chat_service.prompts import DEFAULT, fill
from chat_service.unstored import Speaker
from chat_service.vendors import Vendor
from chat_service.wire import AgentReader

_KIND = "agent_chat"
_WITHOUT_TOOLS = "调用agent工具失败，该回答为大模型自身能力的回答:\n\n `{}`"
_OUT_OF_STEPS = (
    "已用完全部 {0} 步，仍没有得到答案，请把问题问得更具体些。"
    "The agent used all of its {0} steps without an answer; please ask something more specific."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What an agent is asked; `caller` is the header with whose rights its tools read."""

    query: str
    caller: str
    client_id: str
    history: Sequence[Message] = ()
    model_name: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    prompt_name: str = DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Model calls and seconds of one answer, and tokens of the conversation before it.

    Those are of models whose context is not known.
    """

    steps: int
    seconds: float
    context_tokens: int


class AgentChat:
    """Answers tasks with the tools of its box."""

    def __init__(self, toolbox: Toolbox, models: Models, prompts: Prompts, limits: Limits) -> None:
        self._toolbox, self._models, self._prompts, self._limits = toolbox, models, prompts, limits

    async def answer(self, task: Task, reader: AgentReader) -> None:
        answering = _Answering(self._toolbox, self._models, self._prompts, self._limits, reader)
        failure = await answering.speaker.explain(answering.work(task))
        await reader.final(failure or answering.final)


class _Answering:
    """One answer under way."""

    def __init__(
        self,
        toolbox: Toolbox,
        models: Models,
        prompts: Prompts,
        limits: Limits,
        reader: AgentReader,
    ) -> None:
        self._toolbox, self._models, self._prompts, self._limits = toolbox, models, prompts, limits
        self._reader = reader
        self.speaker = Speaker(reader)
        self.final = ""

    async def work(self, task: Task) -> None:
        screen = self._models.screen
        allowed, history = await screen.question(task.query), normalise(task.history)
        task = replace(task, query=allowed, history=screen.known(history))
        vendor = self._models.choose(task.model_name)
        if vendor.offline:
            self.final = offline.without_model(task.query)
            await self.speaker.say([self.final])
            return
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._work(task, vendor)
        except TimeoutError:
            raise ModelTimeout(f"an agent took {self._limits.seconds} s") from None

    async def _work(self, task: Task, vendor: Vendor) -> None:
        model = self._models.answering(vendor)
        messages = conversation(
            task.history,
            query=task.query,
            prompt=task.query,
            budget=prompt_budget(vendor, task.sampling, self._limits.context_tokens),
        )
        tools = await self._toolbox.tools(caller=task.caller, client_id=task.client_id, model=model)
        if not tools:
            self.final = await self._alone(model, messages, task.sampling)
            return
        try:
            await self._with_tools(task, model, tools, messages)
        except ModelRefused as error:
            if self.speaker.said or not _because_of_tools(error):
                raise
            logger.info("%s takes no tools: %s", task.model_name, error.detail)
            self.final = _WITHOUT_TOOLS.format(await self._alone(model, messages, task.sampling))

    async def _alone(
        self, model: ChatModel, messages: Sequence[Message], sampling: Sampling
    ) -> str:
        await self.speaker.relay(model, messages, sampling)
        return "".join(self.speaker.said)

    async def _with_tools(
        self, task: Task, model: ChatModel, tools: list[Tool], messages: list[Message]
    ) -> None:
        graph = await anyio.to_thread.run_sync(_import_graph)
        template = self._prompts.choose(_KIND, task.prompt_name, task.query)
        events = graph.run(
            model,
            task.sampling,
            tools,
            messages,
            system=_system(template, tools),
            steps=self._limits.steps,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Said):
                    await self.speaker.say([event.text])
                elif isinstance(event, Used):
                    await self.speaker.flush()
                    await self._reader.tool(event.lines())
                elif isinstance(event, Answered):
                    self.final = defused(event.text)
        if not self.final:
            self.final = _OUT_OF_STEPS.format(self._limits.steps)
            await self.speaker.say([self.final])


def _import_graph() -> ModuleType:
    """langchain takes seconds of CPU to import: not at start, not on the event loop."""
    from chat_service.agent import graph

    return graph


def _because_of_tools(error: ModelRefused) -> bool:
    detail = error.detail.lower()
    return "tool" in detail or "function" in detail


def _system(template: str, tools: list[Tool]) -> str:
    values = {
        "tool_names": ", ".join(tool.name for tool in tools),
        "tools": "\n".join(f"{tool.name}: {tool.description}" for tool in tools),
    }
    return fill(template, values)
