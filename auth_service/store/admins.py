"""Operators who log in, and their sessions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Double,
    Executable,
    and_,
    bindparam,
    case,
    delete,
    insert,
    null,
    or_,
    select,
    update,
)

from auth_service.models import ADMIN_SESSIONS, ADMINS
from servicekit.database import Database

_NOW: BindParameter[float] = bindparam("now", type_=Double)
_USERNAME: BindParameter[str] = bindparam("admin_username")
_ADMIN = select(
    ADMINS.c.username, ADMINS.c.enable, ADMINS.c.create_time, ADMINS.c.locked_until
).where(ADMINS.c.username == _USERNAME)
_SESSION = (
    select(ADMINS.c.username, ADMIN_SESSIONS.c.expires_at)
    .join_from(ADMIN_SESSIONS, ADMINS, ADMINS.c.username == ADMIN_SESSIONS.c.username)
    .where(ADMIN_SESSIONS.c.token_hash == bindparam("token_hash"), ADMINS.c.enable.is_(True))
)


@dataclass(frozen=True, slots=True)
class StoredAdmin:
    """An operator as he sees himself."""

    username: str
    enable: bool
    create_time: datetime
    locked_until: float | None


@dataclass(frozen=True, slots=True)
class Lock:
    """After this many failures within a time, nobody logs in for as long."""

    failures: int
    seconds: int


@dataclass(frozen=True, slots=True)
class AdminSession:
    """A console login."""

    token_hash: str
    username: str
    created_at: float
    expires_at: float


class AdminStore:
    """Reads operators, counts their tries, keeps their sessions."""

    def __init__(self, database: Database, lock: Lock) -> None:
        self._database = database
        self._try = _counted_try(lock)

    async def admin(self, username: str) -> StoredAdmin | None:
        row = await self._first(_ADMIN, admin_username=username)
        return StoredAdmin(*row) if row else None

    async def count_try(self, username: str, *, now: float) -> tuple[str, bool] | None:
        """Count a failure before it is one, so that tries at the same moment count, too.

        Password hash and enabled flag; None when there is nobody or the account is locked.
        """
        async with self._database.transaction() as session:
            connection = await session.connection()
            row = (
                await connection.execute(self._try, {"admin_username": username, "now": now})
            ).first()
            return (row[0], row[1]) if row else None

    async def open_session(self, new: AdminSession, *, password_hash: str) -> bool:
        """Log in: what failed before is forgotten. False when this password is so no more."""
        forgotten = {"failures": 0, "failing_since": None, "locked_until": None}
        same = and_(
            ADMINS.c.username == new.username,
            ADMINS.c.password_hash == password_hash,
            ADMINS.c.enable.is_(True),
        )
        async with self._database.transaction() as session:
            connection = await session.connection()
            if not (
                await connection.execute(update(ADMINS).where(same).values(forgotten))
            ).rowcount:
                return False
            await connection.execute(insert(ADMIN_SESSIONS).values(asdict(new)))
            return True

    async def session(self, token_hash: str) -> tuple[str, float] | None:
        """Whose it is, if it is an enabled operator's, and its end."""
        row = await self._first(_SESSION, token_hash=token_hash)
        return (row[0], row[1]) if row else None

    async def delete_session(self, token_hash: str) -> None:
        async with self._database.transaction() as session:
            await (await session.connection()).execute(
                delete(ADMIN_SESSIONS).where(ADMIN_SESSIONS.c.token_hash == token_hash)
            )

    async def _first(self, statement: Executable, **values: Any) -> Sequence[Any] | None:
        async with self._database.reading() as session:
            result = await (await session.connection()).execute(statement, values)
            row: Sequence[Any] | None = result.first()
            return row


def _counted_try(lock: Lock) -> Executable:
    """One statement, so that no copy of the service overlooks a try of another."""
    begins_anew = or_(
        ADMINS.c.failing_since.is_(None),
        ADMINS.c.failing_since <= _NOW - lock.seconds,
        ADMINS.c.locked_until.is_not(None),
    )
    failures = case((begins_anew, 1), else_=ADMINS.c.failures + 1)
    return (
        update(ADMINS)
        .where(
            and_(
                ADMINS.c.username == _USERNAME,
                or_(ADMINS.c.locked_until.is_(None), ADMINS.c.locked_until <= _NOW),
            )
        )
        .values(
            failures=failures,
            failing_since=case((begins_anew, _NOW), else_=ADMINS.c.failing_since),
            locked_until=case((failures >= lock.failures, _NOW + lock.seconds), else_=null()),
        )
        .returning(ADMINS.c.password_hash, ADMINS.c.enable)
    )
