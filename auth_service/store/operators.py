"""Who may log in to the console, as operators see and change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from auth_service.errors import NoSuchAdmin
from auth_service.models import ADMIN_SESSIONS, ADMINS, utc_now
from auth_service.store.audit import NewEntry, insert_entry
from auth_service.store.paging import Page, Paging, fetch_page
from servicekit.database import Database
from servicekit.errors import Conflict

_SHOWN = (ADMINS.c.username, ADMINS.c.enable, ADMINS.c.locked_until, ADMINS.c.create_time)


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """An operator who has a password."""

    username: str
    enable: bool
    locked_until: float | None
    create_time: datetime


class OperatorRegistry:
    """The table admin, and the sessions that go with its rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, paging: Paging) -> Page[OperatorRow]:
        query = select(*_SHOWN).order_by(ADMINS.c.username)
        return await fetch_page(self._database, query, paging, lambda row: OperatorRow(**row))

    async def find(self, username: str) -> OperatorRow:
        """Raises NoSuchAdmin."""
        query = select(*_SHOWN).where(ADMINS.c.username == username)
        async with self._database.reading() as session:
            row = (await (await session.connection()).execute(query)).mappings().first()
        if row is None:
            raise NoSuchAdmin(username)
        return OperatorRow(**row)

    async def add(self, username: str, password_hash: str, entry: NewEntry) -> None:
        """Raises Conflict."""
        added = insert(ADMINS).values(
            username=username,
            password_hash=password_hash,
            enable=True,
            failures=0,
            create_time=utc_now(),
        )
        async with self._database.transaction() as session:
            connection = await session.connection()
            try:
                await connection.execute(added)
            except IntegrityError:
                raise Conflict(
                    f"There is an admin {username} already. 已有名为 {username} 的管理员。"
                ) from None
            await insert_entry(connection, entry)

    async def change(self, username: str, values: Mapping[str, Any], entry: NewEntry) -> None:
        """Ends the operator's sessions. Raises NoSuchAdmin."""
        changed = update(ADMINS).where(ADMINS.c.username == username).values(**values)
        ended = delete(ADMIN_SESSIONS).where(ADMIN_SESSIONS.c.username == username)
        async with self._database.transaction() as session:
            connection = await session.connection()
            if not (await connection.execute(changed)).rowcount:
                raise NoSuchAdmin(username)
            await connection.execute(ended)
            await insert_entry(connection, entry)

    async def delete(self, username: str, entry: NewEntry) -> None:
        """Raises NoSuchAdmin."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            for table in (ADMIN_SESSIONS, ADMINS):
                gone = await connection.execute(delete(table).where(table.c.username == username))
            if not gone.rowcount:
                raise NoSuchAdmin(username)
            await insert_entry(connection, entry)
