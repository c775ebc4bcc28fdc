"""HTTP to other services and to the outside world, with timeouts and the request id."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import httpx
import orjson

from servicekit.errors import Unavailable, UpstreamError
from servicekit.logs import request_id

REQUEST_ID_HEADER = "X-Request-ID"


def open_session(*, connections: int = 0) -> aiohttp.ClientSession:
    """The one aiohttp session of a process; 0 connections means no limit."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=60),
        timeout=aiohttp.ClientTimeout(total=None, connect=5, sock_read=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def outside_client(**options: Any) -> httpx.AsyncClient:
    """An httpx client for the outside world; it follows no redirects."""
    return httpx.AsyncClient(timeout=httpx.Timeout(30, connect=5), **options)


class ServiceClient:
    """JSON calls to one other service; `name` is how errors and logs call it."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, *, name: str) -> None:
        self._session, self._base_url, self._name = session, base_url.rstrip("/"), name

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
    ) -> tuple[int, Any]:
        """Status and decoded body of any answer below 500.

        Raises Unavailable when the service cannot be reached, says 503 or says nothing in time,
        UpstreamError for every other 5xx and a body that is not JSON.
        """
        sent = {REQUEST_ID_HEADER: request_id.get(), "Content-Type": "application/json"}
        try:
            async with self._session.request(
                method,
                self._base_url + path,
                data=None if body is None else orjson.dumps(body),
                headers=sent | dict(headers or {}),
                timeout=aiohttp.ClientTimeout(total=timeout, connect=5),
            ) as answer:
                status, raw = answer.status, await answer.read()
        except aiohttp.ClientError as error:  # also no connection in time, a TimeoutError too
            raise self._unreachable() from error
        except TimeoutError:
            text = f"{self._name} did not answer in time. 服务响应超时，请稍后再试。"
            raise Unavailable(text, retry_after=2) from None
        if status < 500:
            with suppress(orjson.JSONDecodeError):
                return status, orjson.loads(raw) if raw else None
        elif status == 503:
            raise self._unreachable()
        raise UpstreamError(f"{self._name} failed ({status}). 内部服务出错。")

    def _unreachable(self) -> Unavailable:
        text = f"{self._name} is not available. 服务暂不可用，请稍后再试。"
        return Unavailable(text, retry_after=2)
