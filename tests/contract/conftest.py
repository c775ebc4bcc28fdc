"""Providers' real apps behind sockets, and the transport that consumers use."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

import auth_service
import chat_service
import kb_service
import session_service
from servicekit.database import Database, sqlite_url
from servicekit.http import ServiceClient, open_session
from tests.serving import Issuer

ClientOf = Callable[[str], ServiceClient]


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The providers' new databases, migrated once; each test starts from a copy."""
    folder = tmp_path_factory.mktemp("migrated")

    async def upgrade(provider: ModuleType, name: str) -> None:
        database = Database(sqlite_url(folder / name / f"{name}.db"), package=provider.__name__)
        await database.upgrade()
        await database.close()

    for provider, name in (
        (auth_service, "auth"),
        (chat_service, "chat"),
        (kb_service, "kb"),
        (session_service, "session"),
    ):
        asyncio.run(upgrade(provider, name))
    return folder


@pytest.fixture
def data(tmp_path: Path, issuer: Issuer, migrated: Path) -> Path:
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)
    return issuer.trusted_by(tmp_path)


@pytest.fixture
async def client_of() -> AsyncIterator[ClientOf]:
    """The kit's client of the service at a URL."""
    async with open_session() as session:
        yield lambda url: ServiceClient(session, url, name="provider")
