"""Clients, users, sessions and API keys, as credentials need them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Executable,
    Table,
    and_,
    bindparam,
    delete,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.errors import CredentialRefused
from auth_service.models import API_KEYS, CLIENT_KEYS, CLIENTS, SESSIONS, USERS, utc_now
from auth_service.store.records import (
    OPERATORS_TERMS,
    ClientTerms,
    NewSession,
    StoredClient,
    StoredClientKey,
    StoredKey,
    StoredSession,
    StoredUser,
)
from servicekit.database import Database

_Insert = sqlite.Insert | postgresql.Insert
INSERT: dict[str, Callable[[Table], _Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_TERMS = (
    CLIENTS.c.limits,
    CLIENTS.c.allowed_origins,
    CLIENTS.c.embeddable,
    CLIENTS.c.knowledge_bases,
)

_CLIENT = select(CLIENTS).where(CLIENTS.c.id == bindparam("client_id"))
_USER = select(USERS).where(
    USERS.c.client_id == bindparam("client_id"), USERS.c.user_id == bindparam("user_id")
)
_CLIENT_KEYS = (
    select(CLIENT_KEYS.c.kid, CLIENT_KEYS.c.algorithm, CLIENT_KEYS.c.public_key)
    .where(CLIENT_KEYS.c.client_id == bindparam("client_id"))
    .order_by(CLIENT_KEYS.c.create_time.desc())
)
_ORIGINS = select(CLIENTS.c.allowed_origins).where(CLIENTS.c.enable == true())
_SESSION = (
    select(
        SESSIONS.c.client_id,
        SESSIONS.c.user_id,
        SESSIONS.c.created_at,
        SESSIONS.c.expires_at,
        SESSIONS.c.revoked,
        USERS.c.username,
        USERS.c.groups,
        and_(USERS.c.enable, USERS.c.deleted.is_(False), CLIENTS.c.enable),
        USERS.c.tokens_not_before,
        CLIENTS.c.tokens_not_before,
        *_TERMS,
    )
    .join_from(
        SESSIONS,
        USERS,
        and_(USERS.c.client_id == SESSIONS.c.client_id, USERS.c.user_id == SESSIONS.c.user_id),
    )
    .join(CLIENTS, CLIENTS.c.id == SESSIONS.c.client_id)
    .where(SESSIONS.c.token_hash == bindparam("token_hash"))
)
# A key may act as a user that its client vouches for: whoever ends the user ends the key.
_ITS_USER = and_(USERS.c.client_id == API_KEYS.c.client_id, USERS.c.user_id == API_KEYS.c.user_id)
_KEYS = (
    select(
        API_KEYS.c.id,
        API_KEYS.c.client_id,
        API_KEYS.c.user_id,
        API_KEYS.c.name,
        API_KEYS.c.scopes,
        API_KEYS.c.expires_at,
        API_KEYS.c.last_used_at,
        API_KEYS.c.create_time,
        API_KEYS.c.knowledge_bases,
        and_(
            API_KEYS.c.enable,
            or_(API_KEYS.c.client_id.is_(None), CLIENTS.c.enable),
            or_(USERS.c.user_id.is_(None), and_(USERS.c.enable, USERS.c.deleted.is_(False))),
        ),
        *_TERMS,
    )
    .join_from(API_KEYS, CLIENTS, CLIENTS.c.id == API_KEYS.c.client_id, isouter=True)
    .outerjoin(USERS, _ITS_USER)
)
_KEY = _KEYS.where(API_KEYS.c.key_hash == bindparam("key_hash"))
_KEY_OF = _KEYS.where(
    API_KEYS.c.client_id.is_not_distinct_from(bindparam("client_id")),
    API_KEYS.c.user_id == bindparam("user_id"),
)


class Store:
    """auth.db."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def client(self, client_id: int) -> StoredClient | None:
        row = await self._first(_CLIENT, client_id=client_id)
        return StoredClient(*row) if row else None

    async def user(self, client_id: int, user_id: str) -> StoredUser | None:
        row = await self._first(_USER, client_id=client_id, user_id=user_id)
        return StoredUser(*row) if row else None

    async def client_keys(self, client_id: int) -> list[StoredClientKey]:
        """Those that sign its v2 tokens, newest first."""
        rows = await self._all(_CLIENT_KEYS, client_id=client_id)
        return [StoredClientKey(*row) for row in rows]

    async def origins(self) -> set[str]:
        """Where pages of enabled clients are."""
        return {origin for (origins,) in await self._all(_ORIGINS) for origin in origins}

    async def save_user(self, client_id: int, user_id: str, *, username: str) -> StoredUser:
        """The user under this name, who may be new; two first sights at once make one row."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            return await write_user(connection, client_id, user_id, username=username)

    async def session(self, token_hash: str) -> StoredSession | None:
        row = await self._first(_SESSION, token_hash=token_hash)
        return _session(row) if row else None

    async def open_session(self, new: NewSession) -> StoredSession:
        """A new session, or the one of this token: an ended one begins anew, a revoked one not.

        Raises CredentialRefused when its user went in this moment.
        """
        async with self._database.transaction() as session:
            connection = await session.connection()
            await write_session(connection, new)
            row = (await connection.execute(_SESSION, {"token_hash": new.token_hash})).one()
            return _session(row)

    async def revoke_session(self, token_hash: str) -> None:
        await self._write(
            update(SESSIONS).where(SESSIONS.c.token_hash == token_hash).values(revoked=True)
        )

    async def key(self, key_hash: str) -> StoredKey | None:
        row = await self._first(_KEY, key_hash=key_hash)
        return _key(row) if row else None

    async def key_of(self, client_id: int | None, user_id: str) -> StoredKey | None:
        """The key that acts as this principal."""
        row = await self._first(_KEY_OF, client_id=client_id, user_id=user_id)
        return _key(row) if row else None

    async def put_operator_key(
        self, user_id: str, *, key_hash: str, prefix: str, scopes: str
    ) -> None:
        """This key, and no other, acts as this operator."""
        same = and_(API_KEYS.c.client_id.is_(None), API_KEYS.c.user_id == user_id)
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(delete(API_KEYS).where(same, API_KEYS.c.key_hash != key_hash))
            added = INSERT[connection.dialect.name](API_KEYS).values(
                prefix=prefix,
                key_hash=key_hash,
                name=user_id,
                user_id=user_id,
                scopes=scopes,
                enable=True,
                create_time=utc_now(),
            )
            await connection.execute(added.on_conflict_do_nothing(index_elements=["key_hash"]))

    async def touch_key(self, key_id: int, *, now: float) -> None:
        await self._write(update(API_KEYS).where(API_KEYS.c.id == key_id).values(last_used_at=now))

    async def _all(self, statement: Executable, **values: Any) -> Sequence[Sequence[Any]]:
        async with self._database.reading() as session:
            return (await (await session.connection()).execute(statement, values)).all()

    async def _first(self, statement: Executable, **values: Any) -> Sequence[Any] | None:
        async with self._database.reading() as session:
            result = await (await session.connection()).execute(statement, values)
            row: Sequence[Any] | None = result.first()
            return row

    async def _write(self, statement: Executable) -> None:
        async with self._database.transaction() as session:
            await (await session.connection()).execute(statement)


async def write_user(
    connection: AsyncConnection,
    client_id: int,
    user_id: str,
    *,
    username: str,
    groups: Sequence[str] | None = None,
) -> StoredUser:
    """The user as its client just said, back when it was deleted; without groups they stay.

    Raises CredentialRefused when the client went in this moment.
    """
    owner = {"client_id": client_id, "user_id": user_id}
    said: dict[str, Any] = {"username": username, "deleted": False}
    if groups is not None:
        said["groups"] = list(groups)
    new = {"groups": []} | owner | said | {"enable": True, "create_time": utc_now()}
    added = INSERT[connection.dialect.name](USERS).values(new)
    try:
        await connection.execute(
            added.on_conflict_do_update(index_elements=["client_id", "user_id"], set_=said)
        )
    except IntegrityError:
        raise CredentialRefused from None
    return StoredUser(*(await connection.execute(_USER, owner)).one())


async def write_session(connection: AsyncConnection, new: NewSession) -> None:
    """Raises CredentialRefused when its user went in this moment."""
    added = INSERT[connection.dialect.name](SESSIONS).values(asdict(new) | {"revoked": False})
    renewed = added.on_conflict_do_update(
        index_elements=["token_hash"],
        set_={"created_at": new.created_at, "expires_at": new.expires_at},
        where=and_(SESSIONS.c.expires_at <= new.created_at, SESSIONS.c.revoked.is_(False)),
    )
    try:
        await connection.execute(renewed)
    except IntegrityError:
        raise CredentialRefused from None


def _session(row: Sequence[Any]) -> StoredSession:
    own = len(row) - len(_TERMS)
    return StoredSession(*(*row[:own], ClientTerms(*row[own:])))


def _key(row: Sequence[Any]) -> StoredKey:
    own = len(row) - len(_TERMS)
    belongs_to_client = row[1] is not None
    terms = ClientTerms(*row[own:]) if belongs_to_client else OPERATORS_TERMS
    return StoredKey(*(*row[:own], terms))
