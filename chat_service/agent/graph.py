"""The loop of model and tools, which is langchain's; imported when an agent is first asked."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import anyio
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ModelRequest,
    ModelResponse,
    ToolCallLimitMiddleware,
    ToolCallRequest,
)
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.types import Command

from chat_service import prompts
from chat_service.agent.entities import Tool, ToolFailed
from chat_service.agent.events import Answered, Event, Said, Used
from chat_service.agent.tool_calling import ToolCallingModel
from chat_service.history import Message
from chat_service.llm import ChatModel, Sampling

_CALLS_EACH_STEP = 2
_TOOL_WITHIN = 30
_END_WITHIN = 5
_LONGEST_RESULT = 6_000
_WITHDRAWN = (
    "not available after the company's documents were read 已读取内部资料，不能再向外部发送内容"
)

logger = logging.getLogger(__name__)


async def run(
    model: ChatModel,
    sampling: Sampling,
    tools: Sequence[Tool],
    messages: Sequence[Message],
    *,
    system: str,
    steps: int,
) -> AsyncGenerator[Event, None]:
    """What happens, as it happens. Raises ModelError."""
    limits: list[Any] = [
        ModelCallLimitMiddleware(run_limit=steps, exit_behavior="error"),
        ToolCallLimitMiddleware(run_limit=steps * _CALLS_EACH_STEP),
        _Bounds(tools, steps),
    ]
    agent: Any = create_agent(
        ToolCallingModel(chat_model=model, sampling=sampling),
        [tool for tool in map(_as_langchain, tools) if _can_be_offered(tool)],
        system_prompt=system,
        middleware=limits,
    )
    said = [(message.role, message.content) for message in messages]
    stream = agent.astream({"messages": said}, stream_mode=["messages", "updates"])
    told = _Told({tool.name: tool.label for tool in tools})
    try:
        async with aclosing(_apart(stream)) as steps_taken:
            async for kind, value in steps_taken:
                for event in told.text(value) if kind == "messages" else told.update(value):
                    yield event
    except ModelCallLimitExceededError:
        yield Answered("")


async def _apart(stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The stream from a task of its own.

    When its reader leaves, anyio cancels each await on the way out, and langgraph would not get as
    far as ending the model and the tools.
    """
    send, receive = anyio.create_memory_object_stream[Any](16)

    async def read() -> None:
        async with send, aclosing(stream):
            async for item in stream:
                await send.send(item)

    task = asyncio.create_task(read())
    try:
        async with receive:
            async for item in receive:
                yield item
        await task  # raises what the stream raised
    finally:
        task.cancel()
        with anyio.move_on_after(_END_WITHIN, shield=True):
            await asyncio.gather(task, return_exceptions=True)


class _Told:
    """Makes events of what langchain tells: chunks of text, and messages of nodes that ended."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._asked: dict[str, dict[str, Any]] = {}

    def text(self, value: Any) -> Iterator[Event]:
        chunk = value[0]
        if isinstance(chunk, AIMessageChunk) and (text := str(chunk.text)):
            yield Said(text)

    def update(self, value: dict[str, Any]) -> Iterator[Event]:
        for message in _messages(value):
            if isinstance(message, ToolMessage):
                yield self._used(message)
            elif isinstance(message, AIMessage) and message.tool_calls:
                self._asked |= {str(call["id"]): call["args"] for call in message.tool_calls}
            elif isinstance(message, AIMessage):
                yield Answered(str(message.text))

    def _used(self, message: ToolMessage) -> Used:
        name = message.name or ""
        failed = message.status == "error"
        return Used(
            self._labels.get(name, name),
            self._asked.get(message.tool_call_id, {}),
            str(message.text) if failed else str(message.artifact),
            failed=failed,
        )


class _Bounds(AgentMiddleware[Any, Any]):
    """What a tool may do, and when; its failures are told to the model as such."""

    def __init__(self, tools: Sequence[Tool], steps: int) -> None:
        super().__init__()
        self._tools = {tool.name: tool for tool in tools}
        self._steps = steps

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """The last step is for the answer: it is offered no tools."""
        state: Any = request.state
        offered = request.tools
        if state.get("run_model_call_count", 0) >= self._steps - 1:
            offered = []
        elif self._has_read_private(request.messages):
            offered = [
                tool
                for tool in offered
                if isinstance(tool, StructuredTool) and not self._tools[tool.name].sends_out
            ]
        return await handler(request.override(tools=offered))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """In time, not too long, fenced as data; the artifact is what the user is shown."""
        call = request.tool_call
        tool = self._tools.get(call["name"])
        try:
            if tool and tool.sends_out and self._has_read_private(request.state["messages"]):
                raise ToolFailed(_WITHDRAWN)
            async with asyncio.timeout(_TOOL_WITHIN):
                result = await handler(request)
        except ToolFailed as error:
            return _failed(request, str(error))
        except TimeoutError:
            return _failed(request, "it took too long 工具超时")
        except Exception:  # a tool's mistake ends its call, not the conversation
            logger.exception("the tool %.50s failed", call["name"])
            return _failed(request, "the tool failed 工具出错")
        if not isinstance(result, ToolMessage):
            return result
        text = str(result.text)
        if result.status == "error":
            return _failed(request, text)
        shown = text[:_LONGEST_RESULT]
        update = {"content": prompts.fence([shown]), "artifact": shown}
        return result.model_copy(update=update)

    def _has_read_private(self, messages: Sequence[Any]) -> bool:
        return any(
            isinstance(message, ToolMessage)
            and message.status == "success"
            and (tool := self._tools.get(message.name or "")) is not None
            and tool.reads_private
            for message in messages
        )


def _failed(request: ToolCallRequest, why: str) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(why[:500], name=call["name"], tool_call_id=call["id"], status="error")


def _as_langchain(tool: Tool) -> StructuredTool:
    return StructuredTool(
        name=tool.name,
        description=tool.description,
        args_schema=tool.arguments,
        coroutine=tool.run,
    )


def _can_be_offered(tool: StructuredTool) -> bool:
    """Servers describe arguments as they like; one bad schema must not end every answer."""
    try:
        convert_to_openai_tool(tool)
    except (ValueError, LookupError) as error:  # references that lead nowhere, or outside
        logger.warning("the tool %s is left out: %s", tool.name, error)
        return False
    return True


def _messages(update: dict[str, Any]) -> list[Any]:
    """The new messages of each node that ended."""
    return [
        message
        for values in update.values()
        if isinstance(values, dict)
        for message in values.get("messages", ())
    ]
