"""Rows that are noted now and stored a moment later, many at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Row = TypeVar("Row")


class WriteBehind(Generic[Row]):
    """What could not be stored is kept, and stored the next time."""

    def __init__(self, store: Callable[[list[Row]], Awaitable[None]]) -> None:
        self._store = store
        self._writing = asyncio.Lock()
        self.unwritten: list[Row] = []

    def note(self, row: Row) -> None:
        self.unwritten.append(row)

    async def write(self) -> None:
        # Shielded: cancelled in the middle, nobody would know whether it was stored.
        await asyncio.shield(self._write())

    async def _write(self) -> None:
        async with self._writing:
            rows = self.unwritten.copy()
            if rows:
                await self._store(rows)
                del self.unwritten[: len(rows)]
