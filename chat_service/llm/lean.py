"""The lean adapter: one aiohttp request, its stream parsed with orjson."""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp
import orjson

from chat_service.errors import ModelBroken, ModelUnreachable
from chat_service.history import SYSTEM, Message, folded, has_system
from chat_service.llm import Reply, Sampling
from chat_service.llm.refusals import Refused, check_end, error_of, problem_of, trouble_of
from chat_service.llm.sse import StreamParser, whole
from chat_service.vendors import Vendor

Session = aiohttp.ClientSession  # noqa: TID251 - its name as a type; the ban is on making one
_LONGEST_BODY = 8 * 1024 * 1024


class LeanModel:
    """One vendor's model; remembers which sampling parameters it does not take."""

    def __init__(
        self,
        session: Session,
        vendor: Vendor,
        *,
        connect_timeout: float,
    ) -> None:
        self._session, self._vendor = session, vendor
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if vendor.bearer:
            self._headers["Authorization"] = f"Bearer {vendor.bearer}"
        self._without = set[str]()

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        reply = reply or Reply()
        while True:
            begun = False
            try:
                async with self._post(self._body(messages, sampling)) as response:
                    reply.model = self._vendor.name
                    async for tokens in _answer(response, reply):
                        begun = begun or bool(tokens)
                        yield tokens
                check_end(reply)
                return
            except Refused as refused:
                if begun or not self._learns(refused, messages, sampling):
                    raise error_of(refused, self._vendor, begun=begun) from None

    def _post(self, body: bytes) -> "_Request":
        url = f"{self._vendor.base_url}/chat/completions"
        request = self._session.post(
            url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
        )
        return _Request(request)

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> bytes:
        said = folded(messages) if SYSTEM in self._without else list(messages)
        body: dict[str, Any] = {"model": self._vendor.model, "messages": said, "stream": True}
        body |= sampling.more
        if "stream_options" not in self._without:  # without it most vendors count no tokens
            body["stream_options"] = {"include_usage": True}
        if sampling.temperature is not None and "temperature" not in self._without:
            body["temperature"] = self._vendor.temperature_near(sampling.temperature)
        if (limit := self._vendor.tokens_within(sampling.max_tokens)) is not None:
            renamed = "max_tokens" in self._without
            body["max_completion_tokens" if renamed else "max_tokens"] = limit
        return orjson.dumps(body)

    def _learns(self, refused: Refused, messages: Sequence[Message], sampling: Sampling) -> bool:
        """Whether it is worth asking once more, without what this vendor does not take.

        Reasoning models refuse a temperature and want `max_completion_tokens`, older ones know no
        system role.
        """
        if not refused.about_parameters or trouble_of(refused.problem, self._vendor):
            return False
        sent = {
            "stream_options": True,
            "temperature": sampling.temperature is not None,
            "max_tokens": self._vendor.tokens_within(sampling.max_tokens) is not None,
        }
        found = next((name for name, given in sent.items() if given and name in str(refused)), "")
        if not found and refused.refuses_system_role and has_system(messages):
            found = SYSTEM
        if not found or found in self._without:
            return False
        logging.getLogger(__name__).info("%s takes no %s: %s", self._vendor.name, found, refused)
        self._without.add(found)
        return True


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


async def _answer(
    response: aiohttp.ClientResponse, reply: Reply
) -> AsyncGenerator[list[str], None]:
    if response.status != 200 or response.content_type.endswith("json"):
        text = whole(await _read_answer(response), reply)  # a vendor that does not stream
        yield [text] if text else []
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


async def _read_answer(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer. Raises Refused for that of an error."""
    raw = await _read(response)
    try:
        problem = problem_of(orjson.loads(raw))
    except orjson.JSONDecodeError:
        problem = None
    if response.status == 200 and problem is None:
        return raw
    retry_after = response.headers.get("Retry-After")
    raise Refused(raw, problem, status=response.status, retry_after=retry_after)


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
