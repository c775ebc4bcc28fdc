"""The lean adapter: one aiohttp request, its stream parsed with orjson."""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp
import orjson

from chat_service.errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelUnreachable,
)
from chat_service.history import Message
from chat_service.llm import Reply, Sampling
from chat_service.llm.sse import StreamParser, shown, whole
from chat_service.vendors import Vendor

_LONGEST_BODY = 8 * 1024 * 1024


class LeanModel:
    """One vendor's model; remembers which sampling parameters it does not take."""

    def __init__(
        self,
        session: aiohttp.ClientSession,  # noqa: TID251 - its type only, the kit makes it
        vendor: Vendor,
        *,
        connect_timeout: float,
    ) -> None:
        self._session, self._vendor = session, vendor
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if vendor.bearer:
            self._headers["Authorization"] = f"Bearer {vendor.bearer}"
        self._without: set[str] = set()

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        while True:
            async with self._post(self._body(messages, sampling)) as response:
                if response.status == 200:
                    reply.model = self._vendor.name
                    async for tokens in _answer(response, reply):
                        yield tokens
                    return
                raw = await _read(response)
                if not self._learns(response.status, raw, sampling):
                    raise self._refusal(response, raw)

    def _post(self, body: bytes) -> "_Request":
        url = f"{self._vendor.base_url}/chat/completions"
        request = self._session.post(
            url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
        )
        return _Request(request)

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> bytes:
        body: dict[str, Any] = {
            "model": self._vendor.model,
            "messages": list(messages),
            "stream": True,
            **sampling.more,
        }
        if "stream_options" not in self._without:  # without it most vendors count no tokens
            body["stream_options"] = {"include_usage": True}
        if sampling.temperature is not None and "temperature" not in self._without:
            body["temperature"] = sampling.temperature
        if sampling.max_tokens is not None:
            renamed = "max_tokens" in self._without
            body["max_completion_tokens" if renamed else "max_tokens"] = sampling.max_tokens
        return orjson.dumps(body)

    def _learns(self, status: int, raw: bytes, sampling: Sampling) -> bool:
        """Reasoning models refuse a temperature, and want `max_completion_tokens`."""
        if status not in (400, 422):
            return False
        sent = {
            "stream_options": True,
            "temperature": sampling.temperature is not None,
            "max_tokens": sampling.max_tokens is not None,
        }
        for name, given in sent.items():
            if given and name not in self._without and name.encode() in raw:
                logging.getLogger(__name__).info(
                    "%s takes no %s: %s", self._vendor.name, name, shown(raw)
                )
                self._without.add(name)
                return True
        return False

    def _refusal(self, response: aiohttp.ClientResponse, raw: bytes) -> ModelError:
        detail = f"{self._vendor.name} answered {response.status}: {shown(raw)}"
        if self._vendor.bearer:
            detail = detail.replace(self._vendor.bearer, "***")
        return by_status(
            response.status, response.headers.get("Retry-After"), self._vendor.name, detail
        )


class _Request:
    """A request whose failures are ours: entering and leaving may raise ModelError."""

    def __init__(self, request: Any) -> None:
        self._request = request

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            response: aiohttp.ClientResponse = await self._request.__aenter__()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ModelUnreachable(f"{type(error).__name__}: {error}") from None
        return response

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._request.__aexit__(*exc_info)


def by_status(status: int, retry_after: str | None, vendor: str, detail: str) -> ModelError:
    """The error that an HTTP status of a vendor means."""
    if status == 429:
        seconds = int(retry_after) if retry_after and retry_after.isdigit() else None
        return ModelBusy(detail, retry_after=seconds)
    if status >= 500 or status == 408:
        return ModelUnreachable(detail)
    return ModelRefused.by_status(status, vendor, detail)


async def _answer(
    response: aiohttp.ClientResponse, reply: Reply
) -> AsyncGenerator[list[str], None]:
    if response.content_type == "application/json":  # a vendor that does not stream
        yield [whole(await _read(response), reply)]
        return
    parser = StreamParser(reply)
    try:
        async for data in response.content.iter_any():
            tokens = parser.feed(data)
            if tokens or parser.alive:
                yield tokens
            if parser.failure:
                raise parser.failure
    except (aiohttp.ClientError, OSError) as error:
        raise ModelBroken(f"the connection was cut: {type(error).__name__}: {error}") from None
    if tokens := parser.close():
        yield tokens
    if parser.failure:
        raise parser.failure


async def _read(response: aiohttp.ClientResponse) -> bytes:
    try:
        raw = bytearray()
        async for data in response.content.iter_any():
            raw += data
            if len(raw) > _LONGEST_BODY:
                raise ModelBroken("the body is too long")
        return bytes(raw)
    except (aiohttp.ClientError, OSError) as error:
        raise ModelUnreachable(f"{type(error).__name__}: {error}") from None
