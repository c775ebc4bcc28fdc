"""Calls to a Qdrant server: tried again while it is away, and its errors become ours."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from servicekit.errors import Unavailable, UpstreamError

_BUSY = 429
_AWAY = (_BUSY, 502, 503, 504)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a call is tried again; all of ours may be repeated.

    People wait for a read. A write waits as long as a server takes to start again, so that this
    fails no file.
    """

    reading: float = 3
    writing: float = 30


async def patiently(call: Callable[[], Awaitable[Answer]], seconds: float) -> Answer:
    """Raises Unavailable or UpstreamError."""
    retrying = AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=0.1, max=3),
        reraise=True,
    )

    async def attempt() -> Answer:  # the library would not await what a plain function returns
        return await call()

    try:
        return await retrying(attempt)
    except (ResponseHandlingException, ResourceExhaustedResponse) as error:
        raise _away() from error
    except UnexpectedResponse as error:
        if error.status_code in _AWAY:
            raise _away() from error
        raise UpstreamError(
            f"向量库出错（{error.status_code}）。The vector store failed ({error.status_code})."
        ) from error


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code is not None and (
            error.status_code == _BUSY or error.status_code >= 500
        )
    if isinstance(error, ResponseHandlingException):  # no answer, or not Qdrant's
        return not isinstance(error.source, ValidationError)
    return isinstance(error, ResourceExhaustedResponse)


def _away() -> Unavailable:
    text = "向量库暂时无法访问，请稍后重试。The vector store cannot be reached for now."
    return Unavailable(text, retry_after=5)
