"""The langchain adapter: for what langchain is made for, imported when first used."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from chat_service.errors import ModelBroken, ModelError, ModelUnreachable
from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.llm.lean import by_status
from chat_service.vendors import Vendor

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient as AsyncClient


class LangChainModel:
    """One vendor's model through `ChatOpenAI`, which is made at the first call."""

    def __init__(self, vendor: Vendor, *, connect_timeout: float) -> None:
        self._vendor, self._connect_timeout = vendor, connect_timeout
        self._model: ChatOpenAI | None = None
        self._client: AsyncClient | None = None

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncGenerator[list[str], None]:
        if self._model is None:  # importing takes a second of CPU: not on the event loop
            self._model = await anyio.to_thread.run_sync(self._make)
        finished, begun = False, False
        try:
            async for chunk in self._model.astream(
                [(message.role, message.content) for message in messages], **_options(sampling)
            ):
                finished = finished or bool(chunk.response_metadata.get("finish_reason"))
                begun = True
                yield [text] if (text := str(chunk.text)) else []
        except Exception as error:  # openai, httpx and parsing errors of many classes: one boundary
            raise self._translate(error, begun=begun) from error
        if not finished:
            raise ModelBroken("the stream ended before the answer did")

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
            stream_usage=False,
            stream_chunk_timeout=None,
        )

    def _translate(self, error: Exception, *, begun: bool) -> ModelError:
        import openai

        detail = f"{type(error).__name__}: {error}"
        if self._vendor.bearer:
            detail = detail.replace(self._vendor.bearer, "***")
        if isinstance(error, openai.APIStatusError):
            retry_after = error.response.headers.get("Retry-After")
            return by_status(error.status_code, retry_after, self._vendor.name, detail)
        if isinstance(error, openai.APIConnectionError) and not begun:
            return ModelUnreachable(detail)
        return ModelBroken(detail)


def _options(sampling: Sampling) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if sampling.temperature is not None:
        options["temperature"] = sampling.temperature
    if sampling.max_tokens is not None:  # ChatOpenAI would rename it, and not every vendor knows
        options["extra_body"] = {"max_tokens": sampling.max_tokens}
    return options
