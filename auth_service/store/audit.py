"""The audit log at rest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.models import AUDIT
from auth_service.store.paging import Page, Paging, fetch_page
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Who did what to whom, from where."""

    at: float
    actor: str
    action: str
    target: str
    outcome: str
    address: str
    request_id: str
    count: int = 1
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEntry(NewEntry):
    """An entry with its number, which grows with time."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to show; None shows all. `actor`, `target` and `address` are parts of the text."""

    action: str | None = None
    outcome: str | None = None
    actor: str | None = None
    target: str | None = None
    address: str | None = None
    since: float | None = None
    until: float | None = None


class AuditStore:
    """The table audit_log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, new: Sequence[NewEntry], more: Mapping[int, int]) -> list[int]:
        """Insert new entries and raise the counts of others; the new ones' numbers."""
        raised = update(AUDIT).where(AUDIT.c.id == bindparam("number"))
        raised = raised.values(count=AUDIT.c.count + bindparam("times"))
        async with self._database.transaction() as session:
            connection = await session.connection()
            if more:
                values = [{"number": number, "times": times} for number, times in more.items()]
                await connection.execute(raised, values)
            return [await insert_entry(connection, entry) for entry in new]

    async def page(self, wanted: AuditFilter, paging: Paging) -> Page[StoredEntry]:
        """Newest first."""
        query = select(AUDIT).where(*_conditions(wanted)).order_by(AUDIT.c.id.desc())
        return await fetch_page(self._database, query, paging, lambda row: StoredEntry(**row))

    async def delete_before(self, at: float) -> None:
        async with self._database.transaction() as session:
            await (await session.connection()).execute(delete(AUDIT).where(AUDIT.c.at < at))


async def insert_entry(connection: AsyncConnection, entry: NewEntry) -> int:
    """In the transaction of the change that it tells of; its number."""
    added = insert(AUDIT).values(**asdict(entry)).returning(AUDIT.c.id)
    return int((await connection.execute(added)).scalar_one())


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = []
    for name in ("action", "outcome"):
        if (value := getattr(wanted, name)) is not None:
            made.append(AUDIT.c[name] == value)
    for name in ("actor", "target", "address"):
        if (value := getattr(wanted, name)) is not None:
            made.append(AUDIT.c[name].contains(value, autoescape=True))
    if wanted.since is not None:
        made.append(AUDIT.c.at >= wanted.since)
    if wanted.until is not None:
        made.append(AUDIT.c.at < wanted.until)
    return made
