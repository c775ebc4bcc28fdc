"""API keys: the first operator's, and what ends a key."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from auth_service.models import API_KEYS
from auth_service.stored_keys import digest
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway

OPERATOR = {
    "client_id": "admin",
    "user_id": "admin",
    "username": "admin",
    "scopes": ["chat", "kb:read", "kb:write", "admin"],
    "groups": [],
    "confined_to": None,
}
KEY = "c2l-a-key-of-a-program-0123456789abcdefghijk"


async def add_key(gateway: Gateway, **values: Any) -> None:
    row = {
        "prefix": KEY[:10],
        "key_hash": digest(KEY),
        "name": "bot",
        "user_id": "key-1",
        "scopes": "kb:read kb:write",
        "enable": True,
        "create_time": datetime(2026, 1, 2, 3, 4, 5, 678),  # noqa: DTZ001  # as it is stored
    }
    await gateway.execute(API_KEYS.insert().values(**(row | values)))


@pytest.mark.parametrize("place", ["bearer", "header"])
async def test_the_generated_key_is_the_operators(gateway: Gateway, place: str) -> None:
    answer = await gateway.introspect(gateway.secrets.admin_key, place)
    assert answer["active"] is True
    assert answer["caller"] == OPERATOR
    assert answer["expires_at"] is None


@pytest.mark.parametrize("place", ["cookie", "url"])
async def test_a_key_counts_neither_in_a_cookie_nor_in_an_address(
    gateway: Gateway, place: str
) -> None:
    assert await gateway.introspect(gateway.secrets.admin_key, place) == REFUSED


async def test_a_key_never_gets_a_session(gateway: Gateway) -> None:
    answer = await gateway.introspect(gateway.secrets.admin_key, want_session=True)
    assert answer["session_token"] is None


async def test_only_hash_and_prefix_are_kept(gateway: Gateway) -> None:
    [row] = await gateway.execute(select(API_KEYS))
    assert gateway.secrets.admin_key not in str(row)
    assert row.prefix == gateway.secrets.admin_key[:10]
    assert len(gateway.secrets.admin_key) == len("c2l-") + 43


async def test_a_key_that_a_setting_gives(start: Any, data: Path) -> None:
    async with start(chat2llm_admin_key=KEY) as gateway:
        assert (await gateway.introspect(KEY, "bearer"))["caller"] == OPERATOR
    assert (data / "auth" / "admin.key").read_text().strip() == KEY
    assert (data / "auth" / "admin.key").stat().st_mode & 0o777 == 0o600


async def test_the_setting_wins_over_the_generated_key(start: Any) -> None:
    async with start() as gateway:
        generated = gateway.secrets.admin_key
    async with start(chat2llm_admin_key=KEY) as gateway:
        assert (await gateway.introspect(KEY, "bearer"))["active"] is True
        assert await gateway.introspect(generated, "bearer") == REFUSED
    async with start() as gateway:  # the setting is gone: its key stays
        assert (await gateway.introspect(KEY, "bearer"))["active"] is True


async def test_a_restart_keeps_the_key_and_other_keys(start: Any) -> None:
    async with start() as gateway:
        generated = gateway.secrets.admin_key
        await add_key(gateway)
    async with start() as gateway:
        assert gateway.secrets.admin_key == generated
        assert (await gateway.introspect(generated, "bearer"))["active"] is True
        assert (await gateway.introspect(KEY, "bearer"))["active"] is True


async def test_a_key_that_does_not_look_like_ours_may_be_given(start: Any) -> None:
    async with start(chat2llm_admin_key="operator-says-so!") as gateway:
        assert (await gateway.introspect("operator-says-so!", "bearer"))["active"] is True


async def test_scopes_are_the_keys_own(gateway: Gateway, client_id: str) -> None:
    await add_key(gateway, client_id=int(client_id))
    assert (await gateway.introspect(KEY, "bearer"))["caller"] == {
        "client_id": client_id,
        "user_id": "key-1",
        "username": "bot",
        "scopes": ["kb:read", "kb:write"],
        "groups": [],
        "confined_to": None,
    }


async def test_unknown(gateway: Gateway) -> None:
    assert await gateway.introspect(KEY, "bearer") == REFUSED


async def test_expired(gateway: Gateway) -> None:
    ends = gateway.clock.now + 60
    await add_key(gateway, expires_at=ends)
    assert (await gateway.introspect(KEY, "bearer"))["expires_at"] == ends
    gateway.clock.now = ends
    assert await gateway.introspect(KEY, "bearer") == EXPIRED


async def test_disabled(gateway: Gateway) -> None:
    await add_key(gateway, enable=False)
    assert await gateway.introspect(KEY, "bearer") == REFUSED


async def test_disabled_client(gateway: Gateway, client_id: str) -> None:
    await add_key(gateway, client_id=int(client_id))
    await gateway.disable(client_id)
    assert await gateway.introspect(KEY, "bearer") == REFUSED


async def test_last_use_is_written_once_a_minute(gateway: Gateway) -> None:
    await add_key(gateway)
    seen = []
    for later in (0, 30, 31):
        gateway.clock.now += later
        await gateway.introspect(KEY, "bearer")
        [(last_used,)] = await gateway.execute(
            select(API_KEYS.c.last_used_at).where(API_KEYS.c.user_id == "key-1")
        )
        seen.append(last_used - gateway.clock.now)
    assert seen == [0, -30, 0]


@pytest.mark.parametrize(
    "key", ["short", "with blanks in it", "key-with-\u00fcmlaut", "k" * 201, "two\nlines-of-text"]
)
async def test_a_key_that_cannot_be_sent_is_refused_at_start(start: Any, key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        async with start(chat2llm_admin_key=key):
            pass
