"""One answer at a time in a session: the next question waits for it, or is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat_service.errors import SessionBusy

_MOST_WAITING = 3


class InTurn:
    """Locks by session id, in this process alone; each lives as long as somebody needs it."""

    def __init__(self, *, patience: float = 30) -> None:
        self._patience = patience
        self._locks: dict[str, asyncio.Lock] = {}
        self._present: dict[str, int] = {}

    @asynccontextmanager
    async def alone(self, session_id: str | None) -> AsyncIterator[None]:
        """Raises SessionBusy when too many wait already, or the wait is too long."""
        if session_id is None:
            yield
            return
        if self._present.get(session_id, 0) > _MOST_WAITING:
            raise SessionBusy
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        self._present[session_id] = self._present.get(session_id, 0) + 1
        try:
            await self._acquire(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._present[session_id] -= 1
            if not self._present[session_id]:
                del self._present[session_id], self._locks[session_id]

    async def _acquire(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise SessionBusy from None
