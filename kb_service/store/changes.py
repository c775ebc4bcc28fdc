"""What other processes of the service have changed, read off a table that all of them write to."""

import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from sqlalchemy import delete, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.chunk_entities import ChunkEdit
from kb_service.entities import LiveVersion
from kb_service.models import LIVE, ChangeRow, ChunkEditRow, FileRow, VersionRow
from kb_service.store.edits import edit_of
from servicekit.database import Database

# Ids are given before the commit, so a lower one may appear after a higher one; one that does not
# appear within this time belongs to a transaction that was rolled back.
_LATE = 60.0
_LOOKED_BACK = 100
_KEPT = 3_600.0


@dataclass(frozen=True, slots=True)
class KbState:
    """What answers in a knowledge base: all versions, the news among them, and its edits."""

    versions: frozenset[str]
    new: list[LiveVersion]
    edits: list[tuple[str, ChunkEdit]]


def note_change(session: AsyncSession, kb_id: int) -> None:
    """In the transaction that changes what processes keep in memory of a knowledge base."""
    session.add(ChangeRow(kb_id=kb_id))


class ChangeStore:
    """Remembers how far it has read."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._last = 0
        self._awaited: dict[int, float] = {}
        self._looked = clock()

    async def begin(self) -> None:
        """Whatever is read after this is known; what changes from now on is news."""
        async with self._database.reading() as session:
            newest = await session.exec(select(func.max(ChangeRow.id)))
            self._last = max(0, (newest.one() or 0) - _LOOKED_BACK)
        await self.news()

    async def news(self) -> set[int] | None:
        """Knowledge bases that were changed since the last time, None: perhaps all of them."""
        now, last_look = self._clock(), self._looked
        changed = or_(col(ChangeRow.id) > self._last, col(ChangeRow.id).in_(self._awaited))
        rows = select(ChangeRow.id, ChangeRow.kb_id).where(changed).order_by(col(ChangeRow.id))
        async with self._database.reading() as session:
            found = [(number or 0, kb_id) for number, kb_id in await session.exec(rows)]
        for number, _ in found:
            between = range(self._last + 1, number)
            self._awaited |= dict.fromkeys(between, now + _LATE)
            self._last = max(self._last, number)
            self._awaited.pop(number, None)
        self._awaited = {one: until for one, until in self._awaited.items() if until > now}
        self._looked = now
        return {kb_id for _, kb_id in found} if now - last_look < _KEPT / 2 else None

    async def state_of(self, kb_id: int, known: Set[str]) -> KbState:
        """As it was at one moment, with the counts of versions that are not known."""
        while True:
            async with self._database.reading() as session:
                before = await _newest_of(session, kb_id)
                state = await _state(session, kb_id, known)
                if before == await _newest_of(session, kb_id):
                    return state

    async def trim(self) -> None:
        async with self._database.transaction() as session:
            old = col(ChangeRow.time) < time.time() - _KEPT
            await session.exec(delete(ChangeRow).where(old))


async def _newest_of(session: AsyncSession, kb_id: int) -> tuple[int, int | None]:
    """Of its changes, since two statements of a transaction may see different commits."""
    newest = select(func.count(), func.max(ChangeRow.id)).where(col(ChangeRow.kb_id) == kb_id)
    number, last = (await session.exec(newest)).one()
    return number, last


async def _state(session: AsyncSession, kb_id: int, known: Set[str]) -> KbState:
    live = [col(VersionRow.kb_id) == kb_id, col(VersionRow.state) == LIVE]
    versions = frozenset(await session.exec(select(VersionRow.id).where(*live)))
    new = list[LiveVersion]()
    for version in versions - known:
        row = await session.get(VersionRow, version)
        if row:
            counts = row.term_counts or b""
            new.append(LiveVersion(row.id, row.kb_id, row.collection, row.chunks, counts))
    in_place = select(FileRow.live_version, ChunkEditRow).join(
        FileRow,
        (col(FileRow.kb_id) == col(ChunkEditRow.kb_id))
        & (col(FileRow.file_name) == col(ChunkEditRow.file_name)),
    )
    chosen = in_place.where(
        col(ChunkEditRow.kb_id) == kb_id, col(FileRow.live_version).is_not(None)
    )
    edits = [(version, edit_of(row)) for version, row in await session.exec(chosen) if version]
    return KbState(versions, new, edits)
