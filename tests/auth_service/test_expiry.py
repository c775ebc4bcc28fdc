"""What ended long ago is deleted, and nothing that still matters."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select

from auth_service.models import ADMIN_SESSIONS, ADMINS, REPLAYS, SESSIONS, SSO_STATES, USERS
from auth_service.store.expiry import Expiry
from tests.auth_service.conftest import REFUSED, Gateway, Start
from tests.auth_service.host_keys import claims, make_key

HOUR = 3600


async def tidy(gateway: Gateway) -> None:
    await Expiry(gateway.database).delete_expired(now=gateway.clock.now, token_seconds=8 * HOUR)


async def names(gateway: Gateway, column: Any) -> list[Any]:
    return sorted(value for (value,) in await gateway.execute(select(column)))


@pytest.mark.parametrize(
    ("table", "column", "more"),
    [
        (REPLAYS, "jti_hash", {"client_id": 2}),
        (SSO_STATES, "nonce", {}),
        (ADMIN_SESSIONS, "token_hash", {"username": "ops", "created_at": 0}),
    ],
    ids=["replays", "sso states", "admin sessions"],
)
async def test_rows_go_when_they_end(
    gateway: Gateway, client_id: str, table: Any, column: str, more: dict[str, Any]
) -> None:
    if table is ADMIN_SESSIONS:
        await add_operator(gateway)
    for name, ends in (("ended", 0), ("live", 1)):
        row = {column: name, "expires_at": gateway.clock.now + ends} | more
        await gateway.execute(insert(table).values(row))
    await tidy(gateway)
    assert await names(gateway, table.c[column]) == ["live"]


async def add_operator(gateway: Gateway) -> None:
    row = {"username": "ops", "password_hash": "", "enable": True, "failures": 0}
    made = {"create_time": datetime.now(UTC).replace(tzinfo=None)}
    await gateway.execute(insert(ADMINS).values(row | made))


async def test_a_used_token_is_remembered_as_long_as_it_could_be_used(
    gateway: Gateway, client_id: str
) -> None:
    key = make_key()
    await key.register(gateway, client_id)
    token = key.sign(claims(gateway, client_id, exp=gateway.clock.now + 300))
    assert (await gateway.introspect(token, "url"))["active"] is True
    gateway.clock.now += 359
    await tidy(gateway)
    assert await gateway.introspect(token, "url") == REFUSED
    gateway.clock.now += 1
    await tidy(gateway)
    assert await names(gateway, REPLAYS.c.client_id) == []
    assert (await gateway.introspect(token, "url"))["reason"] == "expired"


async def test_deleted_users_go_when_no_token_could_bring_them_back(
    gateway: Gateway, client_id: str
) -> None:
    now = gateway.clock.now
    for user in ("kept", "live", "long gone", "long gone with a session"):
        await gateway.introspect(gateway.mint(client_id, user), want_session="session" in user)
    for user, deleted_at in (
        ("kept", now - 9 * HOUR),
        ("long gone", now - 9 * HOUR - 1),
        ("long gone with a session", now - 9 * HOUR - 1),
    ):
        await gateway.update_user(user, deleted=True, tokens_not_before=deleted_at)
    await tidy(gateway)
    assert await names(gateway, USERS.c.user_id) == ["kept", "live", "long gone with a session"]
    await gateway.execute(SESSIONS.delete())
    await tidy(gateway)
    assert await names(gateway, USERS.c.user_id) == ["kept", "live"]


async def test_it_is_done_at_start(start: Start) -> None:
    async with start() as gateway:
        await gateway.execute(
            insert(SSO_STATES).values(nonce="ended", expires_at=gateway.clock.now - 1)
        )
    async with start() as gateway:
        for _ in range(1000):
            if not await names(gateway, SSO_STATES.c.nonce):
                return
            await gateway.http.get("/livez")
    raise AssertionError
