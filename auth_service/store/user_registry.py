"""Users and their browser sessions, as operators see and end them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.errors import NoSuchClient, NoSuchSession, NoSuchUser
from auth_service.models import API_KEYS, CLIENTS, SESSIONS, USERS, utc_now
from auth_service.store.audit import NewEntry, insert_entry
from auth_service.store.paging import Page, Paging, fetch_page
from servicekit.database import Database
from servicekit.errors import Conflict

_USER = [column for column in USERS.c if column.name != "deleted"]
_SESSIONS = select(SESSIONS, USERS.c.username).join_from(
    SESSIONS,
    USERS,
    and_(USERS.c.client_id == SESSIONS.c.client_id, USERS.c.user_id == SESSIONS.c.user_id),
)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as operators see it."""

    client_id: int
    user_id: str
    username: str
    enable: bool
    tokens_not_before: float | None
    create_time: datetime
    groups: list[str]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What to list; None lists all. `text` is a part of the id or the name."""

    client_id: int | None = None
    text: str | None = None
    enable: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser session; its id is the hash of a token that only the browser has."""

    token_hash: str
    client_id: int
    user_id: str
    username: str
    created_at: float
    expires_at: float
    revoked: bool
    method: str


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What to list; `live_at` leaves out what is revoked or has ended by then."""

    client_id: int | None = None
    user_id: str | None = None
    live_at: float | None = None


@dataclass(frozen=True, slots=True)
class RemovedWithUser:
    """What went along with a user."""

    sessions: int
    api_keys: int


class UserRegistry:
    """The tables user and browser_session."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: UserFilter, paging: Paging) -> Page[UserRow]:
        query = select(*_USER).where(USERS.c.deleted.is_(False))
        if wanted.client_id is not None:
            query = query.where(USERS.c.client_id == wanted.client_id)
        if wanted.text is not None:
            columns = (USERS.c.user_id, USERS.c.username)
            query = query.where(
                or_(*(column.icontains(wanted.text, autoescape=True) for column in columns))
            )
        if wanted.enable is not None:
            query = query.where(USERS.c.enable == wanted.enable)
        query = query.order_by(USERS.c.client_id, USERS.c.user_id)
        return await fetch_page(self._database, query, paging, lambda row: UserRow(**row))

    async def find(self, client_id: int, user_id: str) -> UserRow:
        """Raises NoSuchUser."""
        query = select(*_USER).where(_is_user(client_id, user_id), USERS.c.deleted.is_(False))
        async with self._database.reading() as session:
            row = (await (await session.connection()).execute(query)).mappings().first()
        if row is None:
            raise NoSuchUser(client_id, user_id)
        return UserRow(**row)

    async def add(
        self, client_id: int, user_id: str, values: Mapping[str, Any], entry: NewEntry
    ) -> None:
        """Also one that was deleted: its old tokens stay refused. Raises NoSuchClient, Conflict."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            client = select(CLIENTS.c.id).where(CLIENTS.c.id == client_id).with_for_update()
            if (await connection.execute(client)).first() is None:
                raise NoSuchClient(client_id)
            known = select(USERS.c.deleted).where(_is_user(client_id, user_id))
            deleted = (await connection.execute(known)).scalar()
            if deleted is False:
                raise Conflict(
                    f"Client {client_id} has a user {user_id} already."
                    f" 客户端 {client_id} 已有用户 {user_id}。"
                )
            made = {**values, "create_time": utc_now(), "deleted": False}
            if deleted:
                revived = update(USERS).where(_is_user(client_id, user_id))
                await connection.execute(revived.values(**made))
            else:
                await connection.execute(
                    insert(USERS).values(client_id=client_id, user_id=user_id, **made)
                )
            await insert_entry(connection, entry)

    async def change(
        self, client_id: int, user_id: str, values: Mapping[str, Any], entry: NewEntry
    ) -> None:
        """Raises NoSuchUser."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _change(connection, client_id, user_id, values)
            await insert_entry(connection, entry)

    async def revoke(
        self, client_id: int, user_id: str, now: float, tell: Callable[[int], NewEntry]
    ) -> int:
        """End the user's tokens and sessions; how many sessions. Raises NoSuchUser."""
        live = and_(SESSIONS.c.revoked.is_(False), SESSIONS.c.expires_at > now)
        ended = update(SESSIONS).where(_has_session(client_id, user_id), live).values(revoked=True)
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _change(connection, client_id, user_id, {"tokens_not_before": now})
            count = (await connection.execute(ended)).rowcount
            await insert_entry(connection, tell(count))
            return count

    async def delete(
        self,
        client_id: int,
        user_id: str,
        now: float,
        tell: Callable[[RemovedWithUser], NewEntry],
    ) -> RemovedWithUser:
        """The row stays, without a name, so that older tokens stay refused. Raises NoSuchUser."""
        emptied = {"deleted": True, "username": "", "groups": [], "tokens_not_before": now}
        keys = and_(API_KEYS.c.client_id == client_id, API_KEYS.c.user_id == user_id)
        async with self._database.transaction() as session:
            connection = await session.connection()
            await _change(connection, client_id, user_id, emptied)
            sessions = await connection.execute(
                delete(SESSIONS).where(_has_session(client_id, user_id))
            )
            api_keys = await connection.execute(delete(API_KEYS).where(keys))
            removed = RemovedWithUser(sessions.rowcount, api_keys.rowcount)
            await insert_entry(connection, tell(removed))
            return removed

    async def sessions(self, wanted: SessionFilter, paging: Paging) -> Page[SessionRow]:
        """Newest first."""
        query = _SESSIONS.order_by(SESSIONS.c.created_at.desc(), SESSIONS.c.token_hash)
        if wanted.client_id is not None:
            query = query.where(SESSIONS.c.client_id == wanted.client_id)
        if wanted.user_id is not None:
            query = query.where(SESSIONS.c.user_id == wanted.user_id)
        if wanted.live_at is not None:
            query = query.where(
                SESSIONS.c.revoked.is_(False), SESSIONS.c.expires_at > wanted.live_at
            )
        return await fetch_page(self._database, query, paging, lambda row: SessionRow(**row))

    async def revoke_session(self, token_hash: str, tell: Callable[[SessionRow], NewEntry]) -> None:
        """Raises NoSuchSession."""
        wanted = SESSIONS.c.token_hash == token_hash
        async with self._database.transaction() as session:
            connection = await session.connection()
            row = (await connection.execute(_SESSIONS.where(wanted))).mappings().first()
            if row is None:
                raise NoSuchSession
            await connection.execute(update(SESSIONS).where(wanted).values(revoked=True))
            await insert_entry(connection, tell(SessionRow(**row)))


async def _change(
    connection: AsyncConnection, client_id: int, user_id: str, values: Mapping[str, Any]
) -> None:
    changed = update(USERS).where(_is_user(client_id, user_id), USERS.c.deleted.is_(False))
    if not (await connection.execute(changed.values(**values))).rowcount:
        raise NoSuchUser(client_id, user_id)


def _is_user(client_id: int, user_id: str) -> ColumnElement[bool]:
    return and_(USERS.c.client_id == client_id, USERS.c.user_id == user_id)


def _has_session(client_id: int, user_id: str) -> ColumnElement[bool]:
    return and_(SESSIONS.c.client_id == client_id, SESSIONS.c.user_id == user_id)
