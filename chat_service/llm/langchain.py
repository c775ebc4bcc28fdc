"""The langchain adapter: for what langchain is made for, imported when first used."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from chat_service.errors import ModelBroken, ModelError, ModelUnreachable
from chat_service.history import Message
from chat_service.llm import Reply, Sampling
from chat_service.llm.refusals import Refused, check_end, error_of, problem_of, without_key
from chat_service.llm.thinking import ThoughtSplitter
from chat_service.vendors import Vendor

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient as AsyncClient


class LangChainModel:
    """One vendor's model through `ChatOpenAI`, which is made at the first call."""

    def __init__(self, vendor: Vendor, *, connect_timeout: float) -> None:
        self._vendor, self._connect_timeout = vendor, connect_timeout
        self._model: ChatOpenAI | None = None
        self._client: AsyncClient | None = None
        self._counts = True

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        if self._model is None:  # importing takes a second of CPU: not on the event loop
            self._model = await anyio.to_thread.run_sync(self._make)
        thoughts, begun = ThoughtSplitter(), False
        try:
            async for chunk in self._chunks(self._model, messages, self._options(sampling)):
                begun, reply.model = True, self._vendor.name
                _collect(chunk, reply)
                thought, text = thoughts.feed(str(chunk.text))
                reply.thoughts += [thought] if thought else []
                yield [text] if text else []
        except Exception as error:  # openai, httpx and parsing errors of many classes: one boundary
            raise self._translate(error, begun=begun) from error
        if not reply.finish_reason:
            raise ModelBroken("the stream ended before the answer did")
        thought, text = thoughts.end()
        reply.thoughts += [thought] if thought else []
        yield [text] if text else []
        check_end(reply)

    async def _chunks(
        self, model: "ChatOpenAI", messages: Sequence[Message], options: dict[str, Any]
    ) -> AsyncGenerator["AIMessageChunk", None]:
        """Once more without counting tokens, when the vendor refuses to be asked for that."""
        import openai

        said = [(message.role, message.content) for message in messages]
        try:
            async for chunk in model.astream(said, stream_usage=self._counts, **options):
                yield chunk
            return
        except openai.BadRequestError as error:
            if not self._counts or "stream_options" not in str(error):
                raise
        self._counts = False
        async for chunk in model.astream(said, stream_usage=False, **options):
            yield chunk

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _make(self) -> "ChatOpenAI":
        import openai
        from langchain_openai import ChatOpenAI

        timeout = openai.Timeout(None, connect=self._connect_timeout)
        self._client = openai.DefaultAsyncHttpxClient(timeout=timeout)
        return ChatOpenAI(
            model=self._vendor.model,
            base_url=self._vendor.base_url,
            api_key=lambda: self._vendor.bearer or "none",
            timeout=timeout,
            http_async_client=self._client,
            max_retries=0,
            use_responses_api=False,
            stream_chunk_timeout=None,
        )

    def _options(self, sampling: Sampling) -> dict[str, Any]:
        options: dict[str, Any] = dict(sampling.more)
        if sampling.temperature is not None:
            options["temperature"] = self._vendor.temperature_near(sampling.temperature)
        if (limit := self._vendor.tokens_within(sampling.max_tokens)) is not None:
            # As extra body: ChatOpenAI would rename it, and not every vendor knows the new name.
            options["extra_body"] = {"max_tokens": limit}
        return options

    def _translate(self, error: Exception, *, begun: bool) -> ModelError:
        import openai

        if isinstance(error, ModelError):
            return error
        if isinstance(error, openai.APIStatusError):
            retry_after = error.response.headers.get("Retry-After")
            problem = problem_of({"error": error.body} if error.body else None)
            refused = Refused(
                str(error).encode(), problem, status=error.status_code, retry_after=retry_after
            )
            return error_of(refused, self._vendor, begun=begun)
        if type(error) is openai.APIError:  # an error as an event of the stream
            refused = Refused(str(error).encode(), problem_of({"error": error.body or "?"}))
            return error_of(refused, self._vendor, begun=begun)
        detail = without_key(f"{type(error).__name__}: {error}", self._vendor)
        if isinstance(error, openai.APIConnectionError) and not begun:
            return ModelUnreachable(detail)
        return ModelBroken(detail)


def _collect(chunk: "AIMessageChunk", reply: Reply) -> None:
    if reason := chunk.response_metadata.get("finish_reason"):
        reply.finish_reason = reason
    if usage := chunk.usage_metadata:
        reply.prompt_tokens = usage["input_tokens"]
        reply.completion_tokens = usage["output_tokens"]
