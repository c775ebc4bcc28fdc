"""Providers' real apps behind sockets, and the transport that consumers use."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from servicekit.http import ServiceClient, open_session
from tests.databases import Databases
from tests.serving import Issuer

ClientOf = Callable[[str], ServiceClient]


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def data(tmp_path: Path, issuer: Issuer, databases: Databases) -> Path:
    databases.copy_to(tmp_path)
    return issuer.trusted_by(tmp_path)


@pytest.fixture
async def client_of() -> AsyncIterator[ClientOf]:
    """The kit's client of the service at a URL."""
    async with open_session() as session:
        yield lambda url: ServiceClient(session, url, name="provider")
