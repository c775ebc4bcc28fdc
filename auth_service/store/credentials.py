"""Clients, users, sessions and API keys, as credentials need them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Executable,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from auth_service.models import API_KEYS, CLIENTS, SESSIONS, USERS
from servicekit.database import Database

_Insert = sqlite.Insert | postgresql.Insert
_INSERT: dict[str, Callable[[Table], _Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


_CLIENT = select(CLIENTS).where(CLIENTS.c.id == bindparam("client_id"))
_USER = select(USERS).where(
    USERS.c.client_id == bindparam("client_id"), USERS.c.user_id == bindparam("user_id")
)
_SESSION = (
    select(
        SESSIONS.c.client_id,
        SESSIONS.c.user_id,
        SESSIONS.c.created_at,
        SESSIONS.c.expires_at,
        SESSIONS.c.revoked,
        USERS.c.username,
        and_(USERS.c.enable, CLIENTS.c.enable),
        USERS.c.tokens_not_before,
    )
    .join_from(
        SESSIONS,
        USERS,
        and_(USERS.c.client_id == SESSIONS.c.client_id, USERS.c.user_id == SESSIONS.c.user_id),
    )
    .join(CLIENTS, CLIENTS.c.id == SESSIONS.c.client_id)
    .where(SESSIONS.c.token_hash == bindparam("token_hash"))
)
_KEYS = select(
    API_KEYS.c.id,
    API_KEYS.c.client_id,
    API_KEYS.c.user_id,
    API_KEYS.c.name,
    API_KEYS.c.scopes,
    API_KEYS.c.expires_at,
    API_KEYS.c.last_used_at,
    API_KEYS.c.create_time,
    and_(API_KEYS.c.enable, or_(API_KEYS.c.client_id.is_(None), CLIENTS.c.enable)),
).join_from(API_KEYS, CLIENTS, CLIENTS.c.id == API_KEYS.c.client_id, isouter=True)
_KEY = _KEYS.where(API_KEYS.c.key_hash == bindparam("key_hash"))
_KEY_OF = _KEYS.where(
    API_KEYS.c.client_id.is_not_distinct_from(bindparam("client_id")),
    API_KEYS.c.user_id == bindparam("user_id"),
)


@dataclass(frozen=True, slots=True)
class StoredClient:
    """A row of client; its private key is sealed."""

    id: int
    name: str
    kind: str
    description: str
    private_key: bytes | None
    enable: bool
    create_time: datetime
    allowed_origins: list[str]
    embeddable: bool
    limits: dict[str, str]
    knowledge_bases: list[str] | None
    tokens_not_before: float | None


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A row of user."""

    client_id: int
    user_id: str
    username: str
    enable: bool
    tokens_not_before: float | None
    create_time: datetime
    groups: list[str]
    deleted: bool


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A browser session and its user; `enable` is false when user or client is disabled."""

    client_id: int
    user_id: str
    created_at: float
    expires_at: float
    revoked: bool
    username: str
    enable: bool
    tokens_not_before: float | None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key; `enable` is false when the key or its client is disabled."""

    id: int
    client_id: int | None
    user_id: str
    name: str
    scopes: str
    expires_at: float | None
    last_used_at: float | None
    create_time: datetime
    enable: bool


class Store:
    """auth.db."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def client(self, client_id: int) -> StoredClient | None:
        row = await self._first(_CLIENT, client_id=client_id)
        return StoredClient(*row) if row else None

    async def clients(self) -> list[StoredClient]:
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(
                select(CLIENTS).order_by(CLIENTS.c.id)
            )
            return [StoredClient(*row) for row in rows]

    async def add_client(self, *, name: str, kind: str, description: str) -> int:
        """A client without keys; its id."""
        added = insert(CLIENTS).values(
            name=name,
            kind=kind,
            description=description,
            enable=True,
            create_time=_now(),
            allowed_origins=[],
            embeddable=False,
            limits={},
        )
        async with self._database.transaction() as session:
            result = await (await session.connection()).execute(added.returning(CLIENTS.c.id))
            return int(result.scalar_one())

    async def set_client_key(self, client_id: int, *, private_key: bytes) -> None:
        changed = update(CLIENTS).where(CLIENTS.c.id == client_id)
        await self._write(changed.values(private_key=private_key))

    async def enable_client(self, client_id: int, *, enable: bool) -> None:
        await self._write(update(CLIENTS).where(CLIENTS.c.id == client_id).values(enable=enable))

    async def user(self, client_id: int, user_id: str) -> StoredUser | None:
        row = await self._first(_USER, client_id=client_id, user_id=user_id)
        return StoredUser(*row) if row else None

    async def save_user(self, client_id: int, user_id: str, *, username: str) -> StoredUser:
        """The user under this name, who may be new; two first sights at once make one row."""
        owner = {"client_id": client_id, "user_id": user_id}
        async with self._database.transaction() as session:
            connection = await session.connection()
            added = _INSERT[connection.dialect.name](USERS).values(
                **owner,
                username=username,
                enable=True,
                create_time=_now(),
                groups=[],
                deleted=False,
            )
            renamed = added.on_conflict_do_update(
                index_elements=["client_id", "user_id"], set_={"username": username}
            )
            await connection.execute(renamed)
            row = (await connection.execute(_USER, owner)).one()
            return StoredUser(*row)

    async def session(self, token_hash: str) -> StoredSession | None:
        row = await self._first(_SESSION, token_hash=token_hash)
        return StoredSession(*row) if row else None

    async def open_session(
        self,
        token_hash: str,
        *,
        client_id: int,
        user_id: str,
        now: float,
        expires_at: float,
        method: str,
    ) -> StoredSession:
        """A new session, or the one of this token: an ended one begins anew, a revoked one not."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            added = _INSERT[connection.dialect.name](SESSIONS).values(
                token_hash=token_hash,
                client_id=client_id,
                user_id=user_id,
                created_at=now,
                expires_at=expires_at,
                revoked=False,
                method=method,
            )
            renewed = added.on_conflict_do_update(
                index_elements=["token_hash"],
                set_={"created_at": now, "expires_at": expires_at},
                where=and_(SESSIONS.c.expires_at <= now, SESSIONS.c.revoked.is_(False)),
            )
            await connection.execute(renewed)
            row = (await connection.execute(_SESSION, {"token_hash": token_hash})).one()
            return StoredSession(*row)

    async def revoke_session(self, token_hash: str) -> None:
        await self._write(
            update(SESSIONS).where(SESSIONS.c.token_hash == token_hash).values(revoked=True)
        )

    async def delete_sessions(self, *, expired_before: float) -> None:
        await self._write(delete(SESSIONS).where(SESSIONS.c.expires_at < expired_before))

    async def key(self, key_hash: str) -> StoredKey | None:
        row = await self._first(_KEY, key_hash=key_hash)
        return StoredKey(*row) if row else None

    async def key_of(self, client_id: int | None, user_id: str) -> StoredKey | None:
        """The key that acts as this principal."""
        row = await self._first(_KEY_OF, client_id=client_id, user_id=user_id)
        return StoredKey(*row) if row else None

    async def put_operator_key(
        self, user_id: str, *, key_hash: str, prefix: str, scopes: str
    ) -> None:
        """This key, and no other, acts as this operator."""
        same = and_(API_KEYS.c.client_id.is_(None), API_KEYS.c.user_id == user_id)
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(delete(API_KEYS).where(same, API_KEYS.c.key_hash != key_hash))
            added = _INSERT[connection.dialect.name](API_KEYS).values(
                prefix=prefix,
                key_hash=key_hash,
                name=user_id,
                user_id=user_id,
                scopes=scopes,
                enable=True,
                create_time=_now(),
            )
            await connection.execute(added.on_conflict_do_nothing(index_elements=["key_hash"]))

    async def touch_key(self, key_id: int, *, now: float) -> None:
        await self._write(update(API_KEYS).where(API_KEYS.c.id == key_id).values(last_used_at=now))

    async def _first(self, statement: Executable, **values: Any) -> Sequence[Any] | None:
        async with self._database.reading() as session:
            result = await (await session.connection()).execute(statement, values)
            row: Sequence[Any] | None = result.first()
            return row

    async def _write(self, statement: Executable) -> None:
        async with self._database.transaction() as session:
            await (await session.connection()).execute(statement)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
