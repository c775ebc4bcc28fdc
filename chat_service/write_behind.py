"""Rows that are noted now and stored a moment later, many at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Row = TypeVar("Row")
_MOST = 100_000

logger = logging.getLogger(__name__)


class WriteBehind(Generic[Row]):
    """What could not be stored is kept, and stored the next time; `most` rows, then no more."""

    def __init__(self, store: Callable[[list[Row]], Awaitable[None]], *, most: int = _MOST) -> None:
        self._store, self._most = store, most
        self._writing = asyncio.Lock()
        self.unwritten: list[Row] = []

    def note(self, row: Row) -> None:
        if len(self.unwritten) < self._most:
            self.unwritten.append(row)
        else:
            logger.error("%s rows wait to be stored already: one is lost", self._most)

    async def write(self) -> None:
        # Shielded: cancelled in the middle, nobody would know whether it was stored.
        await asyncio.shield(self._write())

    async def _write(self) -> None:
        async with self._writing:
            rows = self.unwritten.copy()
            if rows:
                await self._store(rows)
                del self.unwritten[: len(rows)]
