"""The client for the outside world, made when first used: reading certificates takes its time."""

import httpx

from servicekit.http import outside_client


class Outside:
    """One client for all who ask services on the internet; `close` ends it."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None  # noqa: TID251 - its type only, the kit makes it

    @property
    def client(self) -> httpx.AsyncClient:  # noqa: TID251 - the same
        if self._client is None:
            self._client = outside_client()
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
