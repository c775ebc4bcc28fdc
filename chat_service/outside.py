"""The client for the outside world, made when first used: reading certificates takes its time."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import httpx

from servicekit.http import outside_client

_WITHIN = 15
_LONGEST_BODY = 4 * 1024 * 1024


class OutsideFailed(Exception):
    """No answer, in time and not too long; the text is for the log."""


class Outside:
    """One client for all who ask services on the internet; `close` ends it."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None  # noqa: TID251 - as a type; the ban is on making one

    async def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of any answer. Raises OutsideFailed."""
        if self._client is None:
            self._client = outside_client()
            # It would write each address, and with it what a user searched for.
            logging.getLogger("httpx").setLevel(logging.WARNING)
        try:
            async with (
                asyncio.timeout(_WITHIN),
                self._client.stream(
                    method, url, params=query, json=body, headers=headers
                ) as answer,
            ):
                raw = bytearray()
                async for data in answer.aiter_bytes():
                    raw += data
                    if len(raw) > _LONGEST_BODY:
                        raise OutsideFailed("the answer is too long")
                return answer.status_code, bytes(raw)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise OutsideFailed(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
