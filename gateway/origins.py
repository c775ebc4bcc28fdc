"""Whose pages may call and embed when nobody is known yet: the settings' and all clients'."""

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.clients import AuthClient
from servicekit.errors import ServiceError

_FRESH = 30.0
_RETRY = 2.0


class AllowedOrigins:
    """auth_service's answer for 30 s; then the old one, while a new one is asked for."""

    def __init__(
        self,
        client: AuthClient,
        configured: frozenset[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._clock = client, clock
        self.configured = configured
        self._known: tuple[str, ...] = ()
        self._was_told = False
        self._ask_after = 0.0
        self._asking: asyncio.Task[None] | None = None

    def __contains__(self, origin: str) -> bool:
        return origin in self.configured or origin in self.current()

    def current(self) -> tuple[str, ...]:
        """The clients' origins, as they were told last."""
        if self._clock() >= self._ask_after and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return self._known

    async def known(self) -> tuple[str, ...]:
        """The same, and nobody waits who could have an older answer."""
        return self.current() if self._was_told else await self.settled()

    async def settled(self) -> tuple[str, ...]:
        """The same, after an answer that is being asked for."""
        self.current()
        if self._asking is not None:
            await asyncio.shield(self._asking)
        return self._known

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            self._known = await self._client.origins()
            self._was_told, self._ask_after = True, self._clock() + _FRESH
        except ServiceError as error:
            self._ask_after = self._clock() + _RETRY
            logging.getLogger(__name__).warning("the clients' origins are not known: %s", error)
        finally:
            self._asking = None
