"""The gateway's AuthClient against the real auth_service."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from auth_service.app import create_app
from auth_service.settings import AuthSettings
from gateway.clients import AuthClient, Principal, Rejection
from servicekit.errors import Unavailable
from servicekit.identity import CallerVerifier
from tests.contract.conftest import ClientOf
from tests.serving import served
from tests.stack import Client, free_ports
from tests.tokens import mint_token
from tests.warm_interpreter import warm

ADMIN_KEY = "c2l-an-admin-key-for-contract-tests-0123456789"


@pytest.fixture
async def url(data: Path) -> AsyncIterator[str]:
    settings = AuthSettings(chat2llm_data=data, chat2llm_admin_key=SecretStr(ADMIN_KEY))
    async with served(create_app(settings)) as address:
        yield address


@pytest.fixture
def auth(url: str, client_of: ClientOf, tmp_path: Path) -> AuthClient:
    return AuthClient(client_of(url), key="", key_file=tmp_path / "gateway" / "introspection.key")


@pytest.fixture
async def host(url: str, tmp_path: Path) -> Client:
    """A host app, registered while the service runs."""
    registered = await asyncio.to_thread(
        warm("auth_service").run,
        *("client", "add", "a host app", "--bits", "2048"),
        env=os.environ | {"CHAT2LLM_DATA": str(tmp_path)},
    )
    output = registered.stdout
    pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.S)
    number = re.search(r"client id:\s*(\d+)", output)
    assert pem
    assert number
    return Client(number[1], pem[0])


def _token(host: Client, **changes: Any) -> str:
    return mint_token(client_id=host.id, public_key=host.public_key, user_id="li", **changes)


async def _ask(
    auth: AuthClient, credential: str, *, want_session: bool = False
) -> Principal | Rejection:
    return await auth.introspect(
        credential,
        presented_as="bearer" if credential == ADMIN_KEY else "header",
        address="192.0.2.7",
        want_session=want_session,
    )


async def test_the_admin_key_is_an_admin(auth: AuthClient, tmp_path: Path) -> None:
    found = await _ask(auth, ADMIN_KEY)
    assert isinstance(found, Principal)
    assert found.key == ("admin", "admin")
    assert set(found.caller.scopes) == {"chat", "kb:read", "kb:write", "admin"}
    assert found.session_token is None
    verifier = CallerVerifier.from_file(tmp_path / "keys" / "caller.pub")
    assert verifier.verify(found.header) == found.caller


async def test_a_host_apps_user(auth: AuthClient, host: Client) -> None:
    token = _token(host, username="李")
    found = await _ask(auth, token, want_session=True)
    assert isinstance(found, Principal)
    assert (found.key, found.caller.username) == ((host.id, "li"), "李")
    assert set(found.caller.scopes) == {"chat", "kb:read"}
    assert 0 < found.expires_at - time.time() <= 300
    assert found.session_token is not None
    assert found.session_expires_at > time.time() + 3600
    session = await auth.introspect(
        found.session_token, presented_as="cookie", address="192.0.2.7", want_session=False
    )
    assert isinstance(session, Principal)
    assert session.caller == found.caller
    as_cookie = await auth.introspect(
        token, presented_as="cookie", address="192.0.2.7", want_session=False
    )
    assert as_cookie == Rejection("invalid")


async def test_refusals_say_whether_time_is_the_reason(auth: AuthClient, host: Client) -> None:
    old = _token(host, timestamp=time.time() - 9 * 3600)
    assert await _ask(auth, old) == Rejection("expired")
    foreign = _token(host, inner_client_id="1")
    for credential in (foreign, "garbage", f"c2l-{'unknown' * 6}", f"c2s-{'unknown' * 6}"):
        assert await _ask(auth, credential) == Rejection("invalid")


async def test_no_answer_is_never_a_rejection(
    url: str, client_of: ClientOf, tmp_path: Path
) -> None:
    key_file = tmp_path / "gateway" / "introspection.key"
    away = client_of(f"http://127.0.0.1:{free_ports(1)[0]}")
    for client in (
        AuthClient(away, key="", key_file=key_file),
        AuthClient(client_of(url), key="wrong" * 10, key_file=key_file),
        AuthClient(client_of(url), key="", key_file=tmp_path / "not made yet"),
    ):
        with pytest.raises(Unavailable):
            await _ask(client, ADMIN_KEY)
