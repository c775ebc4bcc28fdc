"""An access token that all logins share: one fetches it for all who wait meanwhile."""

from collections.abc import Awaitable, Callable

import anyio

from auth_service.sso.provider import LoginRefused

Fetch = Callable[[], Awaitable[tuple[str, float]]]  # the token, and how many seconds it is good


class SharedToken:
    """Fetches when there is none, it ended or a caller found it stale. A failure is shared too."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._fetch, self._clock = fetch, clock
        self._turn = anyio.Lock()
        self._fetches = 0
        self._token, self._good_until = "", 0.0
        self._failure = LoginRefused("")

    async def get(self, *, stale: str = "") -> str:
        """Raises LoginRefused."""
        fetches = self._fetches
        async with self._turn:
            waited_for_it = self._fetches != fetches
            good = self._token != stale and self._good_until > self._clock()
            if not waited_for_it and not good:
                await self._refresh()
            if not self._token:
                raise LoginRefused(str(self._failure), self._failure.reason)
            return self._token

    async def _refresh(self) -> None:
        try:
            token, seconds = await self._fetch()
        except LoginRefused as failure:
            self._token, self._failure = "", failure
        else:
            self._token, self._good_until = token, self._clock() + seconds
        self._fetches += 1
