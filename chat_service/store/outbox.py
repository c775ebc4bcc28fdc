"""Answers on their way: statements on the outbox of chat.db."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from chat_service.models import OUTBOX
from servicekit.database import Database

_WRITE = {
    dialect: (added := insert(OUTBOX)).on_conflict_do_update(
        index_elements=["id"],
        set_={name: added.excluded[name] for name in ("response", "docs", "state", "due_at")},
    )
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """An answer on its way; `docs` is JSON."""

    id: str
    turn_id: str
    capability: str
    response: str
    docs: str
    state: str
    attempts: int
    due_at: float


class OutboxStore:
    """Keeps parcels until they are delivered; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, parcels: Sequence[Parcel]) -> None:
        """Keep them, in place of what was kept under their ids."""
        async with self._connection() as connection:
            statement = _WRITE[connection.dialect.name]
            await connection.execute(statement, [asdict(parcel) for parcel in parcels])

    async def claim(self, *, now: float, until: float) -> Parcel | None:
        """A parcel that is due, this process's alone until that time."""
        async with self._database.reading() as reader:
            query = select(OUTBOX).where(OUTBOX.c.due_at <= now).order_by(OUTBOX.c.due_at)
            connection = await reader.connection()
            row = (await connection.execute(query.limit(1))).mappings().one_or_none()
        if row is None:
            return None
        async with self._connection() as connection:
            result = await connection.execute(
                update(OUTBOX)
                .where(OUTBOX.c.id == row["id"], OUTBOX.c.due_at == row["due_at"])
                .values(due_at=until, attempts=row["attempts"] + 1)
            )
        if not result.rowcount:  # another process was faster: perhaps the next one is free
            return await self.claim(now=now, until=until)
        return Parcel(**{**row, "due_at": until})

    async def postpone(self, claimed: Parcel, *, until: float) -> None:
        """Nothing when it was written anew since it was claimed."""
        async with self._connection() as connection:
            await connection.execute(
                update(OUTBOX).where(_still_claimed(claimed)).values(due_at=until)
            )

    async def delivered(self, claimed: Parcel) -> None:
        """Remove it; nothing when it was written anew since it was claimed."""
        async with self._connection() as connection:
            await connection.execute(delete(OUTBOX).where(_still_claimed(claimed)))

    async def remove(self, parcel_id: str) -> None:
        async with self._connection() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.id == parcel_id))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.transaction() as session:
            yield await session.connection()


def _still_claimed(claimed: Parcel) -> ColumnElement[bool]:
    return (OUTBOX.c.id == claimed.id) & (OUTBOX.c.due_at == claimed.due_at)
