"""API keys as operators see and change them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.errors import NoSuchClient, NoSuchKey
from auth_service.models import API_KEYS, CLIENTS, utc_now
from auth_service.store.audit import NewEntry, insert_entry
from auth_service.store.paging import Page, Paging, fetch_page
from servicekit.database import Database

_SHOWN = [column for column in API_KEYS.c if column.name != "key_hash"]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as operators see it; without a client it is an operator's."""

    id: int
    prefix: str
    name: str
    client_id: int | None
    user_id: str
    scopes: str
    expires_at: float | None
    enable: bool
    last_used_at: float | None
    create_time: datetime
    knowledge_bases: list[str] | None


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """What to list; None lists all. `text` is a part of the name."""

    client_id: int | None = None
    operators: bool = False
    text: str | None = None
    enable: bool | None = None


class KeyRegistry:
    """The table api_key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: KeyFilter, paging: Paging) -> Page[KeyRow]:
        query = select(*_SHOWN).order_by(API_KEYS.c.id)
        if wanted.operators:
            query = query.where(API_KEYS.c.client_id.is_(None))
        if wanted.client_id is not None:
            query = query.where(API_KEYS.c.client_id == wanted.client_id)
        if wanted.text is not None:
            query = query.where(API_KEYS.c.name.icontains(wanted.text, autoescape=True))
        if wanted.enable is not None:
            query = query.where(API_KEYS.c.enable == wanted.enable)
        return await fetch_page(self._database, query, paging, lambda row: KeyRow(**row))

    async def find(self, key_id: int) -> KeyRow:
        """Raises NoSuchKey."""
        query = select(*_SHOWN).where(API_KEYS.c.id == key_id)
        async with self._database.reading() as session:
            row = (await (await session.connection()).execute(query)).mappings().first()
        if row is None:
            raise NoSuchKey(key_id)
        return KeyRow(**row)

    async def add(
        self, values: Mapping[str, Any], user_id: str | None, tell: Callable[[int], NewEntry]
    ) -> int:
        """Without a user id it acts as `key-<id>`; the new id. Raises NoSuchClient."""
        added = insert(API_KEYS).values(**values, user_id=user_id or "", create_time=utc_now())
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _require_client(connection, values["client_id"])
            result = await connection.execute(added.returning(API_KEYS.c.id))
            key_id = int(result.scalar_one())
            if user_id is None:
                named = update(API_KEYS).where(API_KEYS.c.id == key_id)
                await connection.execute(named.values(user_id=f"key-{key_id}"))
            await insert_entry(connection, tell(key_id))
            return key_id

    async def change(self, key_id: int, values: Mapping[str, Any], entry: NewEntry) -> None:
        """Raises NoSuchKey."""
        changed = update(API_KEYS).where(API_KEYS.c.id == key_id).values(**values)
        async with self._database.transaction() as session:
            connection = await session.connection()
            if not (await connection.execute(changed)).rowcount:
                raise NoSuchKey(key_id)
            await insert_entry(connection, entry)

    async def delete(self, key_id: int, entry: NewEntry) -> None:
        """Raises NoSuchKey."""
        gone = delete(API_KEYS).where(API_KEYS.c.id == key_id)
        async with self._database.transaction() as session:
            connection = await session.connection()
            if not (await connection.execute(gone)).rowcount:
                raise NoSuchKey(key_id)
            await insert_entry(connection, entry)


async def _require_client(connection: AsyncConnection, client_id: int | None) -> None:
    """It is there, and stays until we are done."""
    if client_id is None:
        return
    query = select(CLIENTS.c.id).where(CLIENTS.c.id == client_id).with_for_update()
    if (await connection.execute(query)).first() is None:
        raise NoSuchClient(client_id)
