"""Rows of vectors that were made before."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import delete, func, insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from kb_service.entities import KeptVector
from kb_service.models import EmbeddingRow
from servicekit.database import Database

_KEYS_AT_ONCE = 500
_DELETED_AT_ONCE = 500
_DAY = 86_400


def _today() -> int:
    return int(time.time()) // _DAY


class EmbeddingStore:
    """A VectorCache in the database; `trim` keeps it to `megabytes`."""

    def __init__(
        self, database: Database, *, megabytes: int, today: Callable[[], int] = _today
    ) -> None:
        self._database, self._most, self._today = database, megabytes << 20, today

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, KeptVector]:
        found: dict[bytes, KeptVector] = {}
        stale = list[bytes]()
        today = self._today()
        async with self._database.reading() as session:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = col(EmbeddingRow.key).in_(keys[start : start + _KEYS_AT_ONCE])
                columns = select(
                    EmbeddingRow.key,
                    EmbeddingRow.vector,
                    EmbeddingRow.is_cut,
                    EmbeddingRow.last_used,
                )
                for key, vector, is_cut, last_used in await session.exec(columns.where(some)):
                    found[key] = KeptVector(vector, is_cut)
                    if last_used < today:
                        stale.append(key)
        if stale:
            await self._touch(stale, today)
        return found

    async def keep(self, found: Mapping[bytes, KeptVector]) -> None:
        """In one transaction, or not at all when somebody else keeps one of them meanwhile."""
        today = self._today()
        rows = [
            {"key": key, "vector": one.vector, "is_cut": one.is_cut, "last_used": today}
            for key, one in found.items()
        ]
        with suppress(IntegrityError):
            async with self._database.transaction() as session:
                await session.exec(insert(EmbeddingRow), params=rows)

    async def trim(self) -> int:
        """Forget what was used longest ago until the rest fits; gives how many were forgotten."""
        size = select(func.sum(func.length(EmbeddingRow.vector)))
        async with self._database.reading() as session:
            excess = ((await session.exec(size)).one() or 0) - self._most
        forgotten = 0
        while excess > 0:
            oldest = select(EmbeddingRow.key, func.length(EmbeddingRow.vector))
            oldest = oldest.order_by(col(EmbeddingRow.last_used)).limit(_DELETED_AT_ONCE)
            async with self._database.transaction() as session:
                keys = list[bytes]()
                for key, length in await session.exec(oldest):
                    if excess > 0:
                        keys.append(key)
                        excess -= length
                await session.exec(delete(EmbeddingRow).where(col(EmbeddingRow.key).in_(keys)))
            if not keys:  # another process has forgotten them meanwhile
                break
            forgotten += len(keys)
        return forgotten

    async def _touch(self, keys: Sequence[bytes], today: int) -> None:
        async with self._database.transaction() as session:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = col(EmbeddingRow.key).in_(keys[start : start + _KEYS_AT_ONCE])
                await session.exec(update(EmbeddingRow).where(some).values(last_used=today))
