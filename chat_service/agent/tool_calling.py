"""Our guarded models as langchain takes them: with tools, and with the same patience as anywhere.

Imported with langchain, when an agent is first asked.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling


class ToolCallingModel(BaseChatModel):
    """One of our models, which is offered tools by `bind_tools`. Raises ModelError."""

    chat_model: Any  # a ChatModel; pydantic cannot check a Protocol
    sampling: Sampling
    offered: tuple[dict[str, Any], ...] = ()

    @property
    def _llm_type(self) -> str:
        return "chat2llm"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> "ToolCallingModel":
        return self.model_copy(update={"offered": tuple(map(convert_to_openai_tool, tools))})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Abstract in langchain, so that it must be here; `create_agent` streams.
        raise NotImplementedError("agents run on the event loop")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        model: ChatModel = self.chat_model
        said, more = _said(messages)
        if self.offered:
            more["tools"] = list(self.offered)
        sampling = Sampling(self.sampling.temperature, self.sampling.max_tokens, more)
        reply = Reply()
        calls = _Calls(reply)
        async with aclosing(model.stream(said, sampling, reply)) as stream:
            async for tokens in stream:
                for token in tokens:
                    yield _chunk(content=token)
                for call in calls.new():
                    yield _chunk(content="", tool_call_chunks=[call])
        for call in calls.new():
            yield _chunk(content="", tool_call_chunks=[call])


class _Calls:
    """The deltas of tool calls that came since the last time."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self._seen = reply, 0

    def new(self) -> Iterator[ToolCallChunk]:
        """One by one: langchain merges them between chunks, not within one."""
        for position, delta in enumerate(self._reply.tool_calls[self._seen :], self._seen):
            function = delta.get("function") or {}
            name = function.get("name") or None
            index = delta.get("index")
            yield tool_call_chunk(
                name=name,
                args=function.get("arguments"),
                # Vendors that do not stream send no index, and some no id.
                id=delta.get("id") or (name and f"call-{position}"),
                index=position if index is None else index,
            )
        self._seen = len(self._reply.tool_calls)


def _said(messages: Sequence[BaseMessage]) -> tuple[list[Message], dict[str, Any]]:
    """The text of the messages, and the messages themselves once they are more than that."""
    written = convert_to_openai_messages(messages)
    assert isinstance(written, list)
    plain = [Message(each["role"], str(each.get("content") or "")) for each in written]
    is_plain = all(each["role"] != "tool" and "tool_calls" not in each for each in written)
    return plain, {} if is_plain else {"messages": written}


def _chunk(**values: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(**values))
