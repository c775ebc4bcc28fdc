"""Clients and their keys, as operators see and change them; each change with its audit entry."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    RowMapping,
    Table,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.errors import NoSuchClient, NoSuchSigningKey
from auth_service.models import API_KEYS, CLIENT_KEYS, CLIENTS, REPLAYS, SESSIONS, USERS, utc_now
from auth_service.store.audit import NewEntry, insert_entry
from auth_service.store.paging import Page, Paging, fetch_page
from servicekit.database import Database
from servicekit.errors import Conflict

_MAX_SIGNING_KEYS = 2
_SHOWN = [column for column in CLIENTS.c if column.name != "private_key"] + [
    CLIENTS.c.private_key.is_not(None).label("has_v1_key")
]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key that verifies a client's v2 tokens."""

    kid: str
    algorithm: str
    public_key: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as operators see it."""

    id: int
    name: str
    kind: str
    description: str
    enable: bool
    create_time: datetime
    allowed_origins: list[str]
    embeddable: bool
    limits: dict[str, str]
    knowledge_bases: list[str] | None
    tokens_not_before: float | None
    has_v1_key: bool
    signing_keys: list[SigningKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """What to list; None lists all. `text` is a part of the name or the description."""

    text: str | None = None
    kind: str | None = None
    enable: bool | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What went along with a client."""

    users: int
    sessions: int
    api_keys: int
    signing_keys: int


class Registry:
    """The tables client and client_key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: ClientFilter, paging: Paging) -> Page[ClientRow]:
        query = select(*_SHOWN).order_by(CLIENTS.c.id)
        if wanted.text is not None:
            columns = (CLIENTS.c.name, CLIENTS.c.description)
            query = query.where(
                or_(*(column.icontains(wanted.text, autoescape=True) for column in columns))
            )
        if wanted.kind is not None:
            query = query.where(CLIENTS.c.kind == wanted.kind)
        if wanted.enable is not None:
            query = query.where(CLIENTS.c.enable == wanted.enable)
        page = await fetch_page(self._database, query, paging, lambda row: ClientRow(**row))
        keys = await self._signing_keys(client.id for client in page.items)
        clients = [replace(client, signing_keys=keys.get(client.id, [])) for client in page.items]
        return Page(clients, page.total)

    async def find(self, client_id: int) -> ClientRow:
        """Raises NoSuchClient."""
        query = select(*_SHOWN).where(CLIENTS.c.id == client_id)
        async with self._database.reading() as session:
            row = (await (await session.connection()).execute(query)).mappings().first()
        if row is None:
            raise NoSuchClient(client_id)
        keys = await self._signing_keys([client_id])
        return ClientRow(**row, signing_keys=keys.get(client_id, []))

    async def sealed_keys(self) -> list[tuple[int, bytes]]:
        query = select(CLIENTS.c.id, CLIENTS.c.private_key)
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(
                query.where(CLIENTS.c.private_key.is_not(None))
            )
            return [(client_id, sealed) for client_id, sealed in rows]

    async def add(self, values: Mapping[str, Any], tell: Callable[[int], NewEntry]) -> int:
        """A client without keys; its id."""
        added = insert(CLIENTS).values(**values, create_time=utc_now())
        async with self._database.transaction() as session:
            connection = await session.connection()
            result = await connection.execute(added.returning(CLIENTS.c.id))
            client_id = int(result.scalar_one())
            await insert_entry(connection, tell(client_id))
            return client_id

    async def change(self, client_id: int, values: Mapping[str, Any], entry: NewEntry) -> None:
        """Raises NoSuchClient."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _change(connection, client_id, values)
            await insert_entry(connection, entry)

    async def revoke(self, client_id: int, now: float, tell: Callable[[int], NewEntry]) -> int:
        """End its users' tokens and sessions; how many sessions. Raises NoSuchClient."""
        live = SESSIONS.c.revoked.is_(False) & (SESSIONS.c.expires_at > now)
        ended = update(SESSIONS).where(SESSIONS.c.client_id == client_id, live)
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _change(connection, client_id, {"tokens_not_before": now})
            count = (await connection.execute(ended.values(revoked=True))).rowcount
            await insert_entry(connection, tell(count))
            return count

    async def delete(self, client_id: int, tell: Callable[[Removed], NewEntry]) -> Removed:
        """The client and all that hangs on it. Raises NoSuchClient."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _lock(connection, client_id)
            counts = {
                name: await _delete_all(connection, table, client_id)
                for name, table in (
                    ("sessions", SESSIONS),
                    ("users", USERS),
                    ("api_keys", API_KEYS),
                    ("signing_keys", CLIENT_KEYS),
                )
            }
            await _delete_all(connection, REPLAYS, client_id)
            await connection.execute(delete(CLIENTS).where(CLIENTS.c.id == client_id))
            removed = Removed(**counts)
            await insert_entry(connection, tell(removed))
            return removed

    async def add_signing_key(self, client_id: int, key: SigningKey, entry: NewEntry) -> None:
        """Raises NoSuchClient, Conflict."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _lock(connection, client_id)
            query = select(CLIENT_KEYS.c.kid).where(CLIENT_KEYS.c.client_id == client_id)
            known = (await connection.execute(query)).scalars().all()
            if key.kid in known:
                raise Conflict(
                    f"The client has a key {key.kid} already. 该客户端已有编号为 {key.kid} 的公钥。"
                )
            if len(known) >= _MAX_SIGNING_KEYS:
                raise Conflict(
                    "A client has at most two signing keys; remove one first."
                    " 每个客户端最多两个签名公钥，请先删除一个。"
                )
            await connection.execute(insert(CLIENT_KEYS).values(client_id=client_id, **asdict(key)))
            await insert_entry(connection, entry)

    async def remove_signing_key(self, client_id: int, kid: str, entry: NewEntry) -> None:
        """Raises NoSuchSigningKey."""
        wanted = (CLIENT_KEYS.c.client_id == client_id) & (CLIENT_KEYS.c.kid == kid)
        async with self._database.transaction() as session:
            connection = await session.connection()
            if not (await connection.execute(delete(CLIENT_KEYS).where(wanted))).rowcount:
                raise NoSuchSigningKey(kid)
            await insert_entry(connection, entry)

    async def _signing_keys(self, client_ids: Iterable[int]) -> dict[int, list[SigningKey]]:
        query = select(CLIENT_KEYS).where(CLIENT_KEYS.c.client_id.in_(list(client_ids)))
        found: dict[int, list[SigningKey]] = {}
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(
                query.order_by(CLIENT_KEYS.c.create_time, CLIENT_KEYS.c.kid)
            )
            for row in rows.mappings():
                found.setdefault(row["client_id"], []).append(_signing_key(row))
        return found


def _signing_key(row: RowMapping) -> SigningKey:
    return SigningKey(row["kid"], row["algorithm"], row["public_key"], row["create_time"])


async def _change(connection: AsyncConnection, client_id: int, values: Mapping[str, Any]) -> None:
    changed = update(CLIENTS).where(CLIENTS.c.id == client_id).values(**values)
    if not (await connection.execute(changed)).rowcount:
        raise NoSuchClient(client_id)


async def _lock(connection: AsyncConnection, client_id: int) -> None:
    """Nobody else changes this client until we are done. Raises NoSuchClient."""
    query = select(CLIENTS.c.id).where(CLIENTS.c.id == client_id).with_for_update()
    if (await connection.execute(query)).first() is None:
        raise NoSuchClient(client_id)


async def _delete_all(connection: AsyncConnection, table: Table, client_id: int) -> int:
    gone = delete(table).where(table.c.client_id == client_id)
    return (await connection.execute(gone)).rowcount
