"""One engine, one transaction a request, one writer, migrations when behind."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import CursorResult, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlmodel.ext.asyncio.session import AsyncSession

from servicekit.app import build_app
from servicekit.database import Database, ReadSessionDep, SessionDep, sqlite_url
from servicekit.errors import NotFound
from tests.servicekit.conftest import ClientOf

PACKAGE = "shop_for_database_tests"
FIRST_MIGRATION = """
from alembic import op

revision = "0001_stock"
down_revision = None

def upgrade():
    op.execute("CREATE TABLE ware (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)")
    op.execute(
        "CREATE TABLE sale (id INTEGER PRIMARY KEY, ware_id INTEGER NOT NULL "
        "REFERENCES ware (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    op.execute("INSERT INTO ware VALUES (1, 0)")
"""
SECOND_MIGRATION = """
from alembic import op

revision = "0002_price"
down_revision = "0001_stock"

def upgrade():
    op.execute("ALTER TABLE ware ADD COLUMN price INTEGER")
    {more}
"""
ENVIRONMENT = """
import asyncio
from alembic import context
from servicekit.database import Database

def migrate(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()

async def run(url):
    database = Database(url, package="none")
    async with database.transaction() as session:
        await (await session.connection()).run_sync(migrate)
    await database.close()

asyncio.run(run(context.config.attributes["url"]))
"""


@pytest.fixture
def migrations(tmp_path: Path) -> Iterator[Path]:
    """The migrations folder of a package that exists for one test."""
    folder = tmp_path / PACKAGE / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    (folder / "versions" / "0001_stock.py").write_text(FIRST_MIGRATION)
    package = ModuleType(PACKAGE)
    package.__path__ = [str(tmp_path / PACKAGE)]
    sys.modules[PACKAGE] = package
    yield folder
    del sys.modules[PACKAGE]


@pytest.fixture(scope="module")
def upgraded() -> list[bytes]:
    """A database after its first upgrade: made by the first test that needs one."""
    return []


@pytest.fixture
async def database(
    migrations: Path, tmp_path: Path, upgraded: list[bytes]
) -> AsyncIterator[Database]:
    path = tmp_path / "data" / "shop.db"
    database = Database(sqlite_url(path), package=PACKAGE)
    if not upgraded:
        await database.upgrade()
        await database.close()  # the last connection that closes empties the log into the file
        upgraded.append(path.read_bytes())
    path.write_bytes(upgraded[0])
    yield database
    await database.close()


async def _amount(database: Database) -> int:
    async with database.reading() as session:
        return await _read_amount(session)


async def _execute(session: AsyncSession, sql: str) -> CursorResult[Any]:
    return await (await session.connection()).execute(text(sql))


async def _read_amount(session: AsyncSession) -> int:
    return int((await _execute(session, "SELECT amount FROM ware WHERE id = 1")).scalar_one())


async def _set(session: AsyncSession, amount: int) -> None:
    await _execute(session, f"UPDATE ware SET amount = {amount}")


async def test_leaving_a_transaction_commits(database: Database) -> None:
    async with database.transaction() as session:
        await _set(session, 3)

    assert await _amount(database) == 3


async def test_an_error_rolls_everything_back(database: Database) -> None:
    async def fail_after_writing() -> None:
        async with database.transaction() as session:
            await _set(session, 3)
            raise NotFound("no such ware")

    with pytest.raises(NotFound):
        await fail_after_writing()
    assert await _amount(database) == 0


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(
    database: Database,
) -> None:
    begun = asyncio.Event()

    async def never_ends() -> None:
        async with database.transaction() as session:
            await _set(session, 3)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_ends())
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    await asyncio.wait([task])

    async with asyncio.timeout(5), database.transaction() as session:
        assert await _read_amount(session) == 0
        await _set(session, 4)
    assert await _amount(database) == 4


@contextmanager
def _another_writer(database: Database) -> Iterator[None]:
    """Another process that writes."""
    path = make_url(database.url).database
    assert path
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


async def test_a_lock_that_lasts_too_long_is_an_error_of_the_database(database: Database) -> None:
    async with database.transaction() as session:
        await _execute(session, "PRAGMA busy_timeout=1")

    with _another_writer(database), pytest.raises(OperationalError, match="locked"):
        async with database.transaction() as session:
            await _set(session, 3)
    async with database.transaction() as session:
        await _set(session, 4)
    assert await _amount(database) == 4


async def test_whoever_is_cancelled_while_waiting_for_another_process_blocks_nobody(
    database: Database,
) -> None:
    async with database.transaction() as session:
        await _set(session, 1)

    async def wait_for_the_other() -> None:
        async with database.transaction() as session:
            await _set(session, 2)

    with _another_writer(database):
        waiting = asyncio.create_task(wait_for_the_other())
        await asyncio.sleep(0.05)
        waiting.cancel()
    await asyncio.wait([waiting])

    async with asyncio.timeout(5), database.transaction() as session:
        await _set(session, 4)
    with _another_writer(database):
        assert await _amount(database) == 4


async def test_a_hundred_writers_queue_and_lose_nothing(database: Database) -> None:
    async def sell() -> None:
        async with database.transaction() as session:
            amount = await _read_amount(session)
            await asyncio.sleep(0)
            await _set(session, amount + 1)

    async def look() -> int:
        return await _amount(database)

    async with asyncio.timeout(60):
        await asyncio.gather(*(sell() for _ in range(100)), *(look() for _ in range(100)))

    assert await _amount(database) == 100


async def test_writers_of_two_processes_queue_too(database: Database) -> None:
    other = Database(database.url, package=PACKAGE)

    async def sell(shop: Database) -> None:
        async with shop.transaction() as session:
            await _set(session, await _read_amount(session) + 1)

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(sell(shop) for shop in (database, other) * 25))
    finally:
        await other.close()

    assert await _amount(database) == 50


async def test_readers_neither_wait_for_a_writer_nor_see_its_work(database: Database) -> None:
    async with asyncio.timeout(5), database.transaction() as session:
        await _set(session, 3)
        assert await _amount(database) == 0
    assert await _amount(database) == 3


async def test_a_reading_session_never_commits(database: Database) -> None:
    async with database.reading() as session:
        await _set(session, 3)

    assert await _amount(database) == 0


@pytest.mark.parametrize(("synchronous", "number"), [("NORMAL", 1), ("FULL", 2)])
async def test_sqlite_is_set_up_for_many_readers_and_durability(
    tmp_path: Path, synchronous: str, number: int
) -> None:
    url = sqlite_url(tmp_path / "shop.db")
    database = Database(url, package=PACKAGE, synchronous=synchronous)
    try:
        async with database.transaction() as session:
            pragmas = [
                (await _execute(session, f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
    finally:
        await database.close()

    assert pragmas == ["wal", number, 1]


@pytest.mark.parametrize("folder", ["with space", "数据", "100%25", "a#b", "q?x=1"])
async def test_the_data_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "shop.db"
    database = Database(sqlite_url(path), package=PACKAGE)
    try:
        await database.ping()
    finally:
        await database.close()

    assert path.is_file()
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_is_no_database_fails_the_ping(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"no database" * 500)
    database = Database(sqlite_url(tmp_path / "shop.db"), package=PACKAGE)

    with pytest.raises(DatabaseError):
        await database.ping()
    await database.close()


async def test_an_upgrade_that_is_not_needed_starts_nothing(
    database: Database, migrations: Path
) -> None:
    (migrations / "env.py").write_text("raise SystemExit('it ran')")

    await database.upgrade()


async def test_an_upgrade_goes_from_any_revision_and_keeps_the_rows(
    database: Database, migrations: Path
) -> None:
    async with database.transaction() as session:
        await _set(session, 3)
    second = SECOND_MIGRATION.format(more="")
    (migrations / "versions" / "0002_price.py").write_text(second)

    await database.upgrade()

    async with database.reading() as session:
        row = (await _execute(session, "SELECT amount, price FROM ware")).one()
    assert tuple(row) == (3, None)


async def test_two_processes_may_upgrade_at_once(migrations: Path, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "shop.db")
    shops = [Database(url, package=PACKAGE) for _ in "12"]
    try:
        await asyncio.gather(*(shop.upgrade() for shop in shops))
        assert await _amount(shops[0]) == 0
    finally:
        for shop in shops:
            await shop.close()


async def test_a_failed_upgrade_says_why_and_changes_nothing(
    database: Database, migrations: Path
) -> None:
    second = SECOND_MIGRATION.format(more='raise RuntimeError("no price list")')
    (migrations / "versions" / "0002_price.py").write_text(second)

    with pytest.raises(RuntimeError, match="no price list"):
        await database.upgrade()

    async with database.reading() as session:
        with pytest.raises(OperationalError, match="price"):
            await _execute(session, "SELECT price FROM ware")


@pytest.fixture
async def client(client_of: ClientOf, database: Database) -> httpx.AsyncClient:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.database = database
        yield

    app = build_app(title="shop", lifespan=lifespan)

    @app.post("/set/{amount}")
    async def set_amount(amount: int, session: SessionDep) -> int:
        await _set(session, amount)
        if amount == 13:
            raise NotFound("unlucky")
        return amount

    @app.post("/sell/{ware}")
    async def sell(ware: int, session: SessionDep) -> str:
        await _execute(session, f"INSERT INTO sale (ware_id) VALUES ({ware})")
        return "sold"

    @app.get("/amount")
    async def amount(session: ReadSessionDep) -> int:
        return await _read_amount(session)

    return await client_of(app)


async def test_a_request_is_one_transaction(client: httpx.AsyncClient) -> None:
    assert (await client.post("/set/5")).status_code == 200
    assert (await client.get("/amount")).json() == 5


async def test_a_request_that_fails_stores_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.post("/set/13")).status_code == 404
    assert (await client.get("/amount")).json() == 0


async def test_a_commit_that_fails_reaches_the_client(
    client: httpx.AsyncClient, database: Database
) -> None:
    sold = await client.post("/sell/1")
    refused = await client.post("/sell/99")  # the foreign key is checked at the commit

    assert (sold.status_code, refused.status_code) == (200, 500)
    async with database.reading() as session:
        rows = (await _execute(session, "SELECT ware_id FROM sale")).scalars().all()
    assert rows == [1]
