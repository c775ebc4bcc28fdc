"""A service's own database: one engine, one transaction a request, migrations when behind.

SQLite has one writer whatever we do, so writes queue on a single pooled connection instead of
meeting as lock timeouts; reads have their own connections. Other databases use one pool for both.
"""

import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Annotated, Any, NewType

from fastapi import Depends, Request
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

ReadSession = NewType("ReadSession", AsyncSession)
# The URL comes through a pipe: other users of the machine can read command lines.
_UPGRADE = """
import sys
from alembic import command, config
made = config.Config()
made.set_main_option("script_location", sys.argv[1].replace("%", "%%"))
made.attributes["url"] = sys.stdin.read()
command.upgrade(made, "head")
"""


_PRAGMAS = "PRAGMA busy_timeout=10000; PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"


class Database:
    """Engines of one service; `package` is where its `migrations/` folder is.

    `synchronous` is SQLite's: NORMAL may lose the last moments of a power cut, FULL does not.
    """

    def __init__(self, url: str, *, package: str, synchronous: str = "NORMAL") -> None:
        self.url, self._package = url, package
        if make_url(url).get_backend_name() == "sqlite":
            self._writer = _sqlite_engine(url, 1, synchronous, "BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(url, 4, synchronous, "BEGIN")
        else:
            self._writer = self._reader = _engine(url, pool_pre_ping=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits on leaving, and rolls back when anything was raised."""
        async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """A session that never commits."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session:
            yield ReadSession(session)

    async def upgrade(self) -> None:
        """Bring the schema to the newest migration, in a child process and only when behind.

        The child keeps alembic out of the serving process. Raises RuntimeError with its output.
        """
        folder = Path(sys.modules[self._package].__path__[0]) / "migrations"
        newest = max(path.stem for path in (folder / "versions").glob("[0-9]*.py"))
        if await self._revision() == newest:
            return
        child = await create_subprocess_exec(
            sys.executable, "-c", _UPGRADE, str(folder), stdin=PIPE, stdout=PIPE, stderr=STDOUT
        )
        output, _ = await child.communicate(self.url.encode())
        if child.returncode:
            raise RuntimeError(f"{self._package}: the migration failed\n{output.decode()}")

    async def ping(self) -> None:
        async with self._reader.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    async def _revision(self) -> object:
        try:
            async with self._reader.connect() as connection:
                return await connection.scalar(text("SELECT version_num FROM alembic_version"))
        except DBAPIError:  # no such table: a new database
            return None


def sqlite_url(path: Path) -> str:
    """The URL of a database file; its folder is made, and is nobody else's to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return URL.create("sqlite+aiosqlite", database=str(path.absolute())).render_as_string()


def _sqlite_engine(url: str, connections: int, synchronous: str, begin: str) -> AsyncEngine:
    engine = _engine(url, pool_size=connections, max_overflow=0, pool_timeout=30)
    pragmas = f"{_PRAGMAS} PRAGMA synchronous={synchronous}"

    def set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        connection.run_async(lambda driver: driver.executescript(pragmas))

    def begin_now(dbapi_connection: Any) -> None:
        dbapi_connection.dbapi_connection.run_async(lambda driver: driver.execute(begin))

    event.listen(engine.sync_engine, "connect", set_up)
    # Not an event with a statement: the engine's way to run one costs as much as a small read.
    engine.dialect.do_begin = begin_now  # type: ignore[method-assign]  # the dialect's own is empty
    return engine


def _engine(url: str, **options: Any) -> AsyncEngine:
    """Without parameters in its messages: what people write stays out of the log."""
    return create_async_engine(url, hide_parameters=True, **options)


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.database.transaction() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.reading() as session:
        yield session


# Function scope: a commit that fails must reach the client as an error, not after a 200.
SessionDep = Annotated[AsyncSession, Depends(_transaction, scope="function")]
ReadSessionDep = Annotated[ReadSession, Depends(_reading, scope="function")]
