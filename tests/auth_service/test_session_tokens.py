"""Session tokens: where they count, how long they live, and what ends them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, update

from auth_service.models import SESSIONS
from auth_service.sessions import Sessions
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway

HOUR = 3600.0


@pytest.fixture
async def session_token(gateway: Gateway, client_id: str) -> str:
    """Exchanged for a v1 token of the user u1."""
    answer = await gateway.introspect(
        gateway.mint(client_id, "u1", username="Tom"), want_session=True
    )
    return str(answer["session_token"])


def sessions_of(gateway: Gateway) -> Sessions:
    return Sessions(gateway.store, b"", gateway.clock)


async def row_count(gateway: Gateway) -> int:
    [(count,)] = await gateway.execute(select(func.count()).select_from(SESSIONS))
    return int(count)


async def test_it_looks_as_documented(session_token: str) -> None:
    assert session_token.startswith("c2s-")
    assert len(session_token) == 4 + 43
    assert session_token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("place", ["header", "cookie", "url"])
async def test_it_is_its_user_until_eight_hours_are_over(
    gateway: Gateway, client_id: str, session_token: str, place: str
) -> None:
    ends = gateway.clock.now + 8 * HOUR
    answer = await gateway.introspect(session_token, place)
    assert answer["caller"] == {
        "client_id": client_id,
        "user_id": "u1",
        "username": "Tom",
        "scopes": ["chat", "kb:read"],
        "groups": [],
        "confined_to": None,
    }
    assert answer["expires_at"] == ends
    assert answer["session_token"] is None
    gateway.clock.now = ends - 1
    assert (await gateway.introspect(session_token, place))["active"] is True
    gateway.clock.now = ends
    assert await gateway.introspect(session_token, place) == EXPIRED


async def test_it_is_no_bearer_key(gateway: Gateway, session_token: str) -> None:
    assert await gateway.introspect(session_token, "bearer") == REFUSED


async def test_a_wanted_session_is_itself(gateway: Gateway, session_token: str) -> None:
    answer = await gateway.introspect(session_token, want_session=True)
    assert answer["session_token"] == session_token
    assert answer["session_expires_at"] == gateway.clock.now + 8 * HOUR


async def test_one_v1_token_has_one_session(gateway: Gateway, client_id: str) -> None:
    token = gateway.mint(client_id)
    answers = [await gateway.introspect(token, want_session=True) for _ in range(3)]
    assert len({answer["session_token"] for answer in answers}) == 1
    assert await row_count(gateway) == 1


async def test_another_v1_token_has_another_session(
    gateway: Gateway, client_id: str, session_token: str
) -> None:
    answer = await gateway.introspect(gateway.mint(client_id, "u1"), want_session=True)
    assert answer["session_token"] != session_token


async def test_it_is_not_kept_in_plain(gateway: Gateway, session_token: str) -> None:
    [row] = await gateway.execute(select(SESSIONS))
    assert session_token.removeprefix("c2s-") not in str(row)


@pytest.mark.parametrize(
    "spoil", ["{}x", "{}-", "c2s-", "c2s", "C2S-{}", "{} "], ids=lambda text: repr(text)
)
async def test_an_unknown_one_is_refused(gateway: Gateway, session_token: str, spoil: str) -> None:
    assert await gateway.introspect(spoil.format(session_token)) == REFUSED


async def test_a_revoked_one_is_refused(gateway: Gateway, session_token: str) -> None:
    await sessions_of(gateway).revoke(session_token)
    assert await gateway.introspect(session_token) == REFUSED


async def test_its_v1_token_ends_with_a_revoked_one(gateway: Gateway, client_id: str) -> None:
    token = gateway.mint(client_id)
    first = await gateway.introspect(token, want_session=True)
    await sessions_of(gateway).revoke(first["session_token"])
    assert await gateway.introspect(token, want_session=True) == REFUSED
    assert await gateway.introspect(first["session_token"]) == REFUSED


async def test_tidying_up_does_not_bring_a_revoked_one_back(
    start: Any, key_pairs: list[tuple[str, bytes]]
) -> None:
    async with start(token_expired_hours=24) as gateway:
        token = gateway.mint(await gateway.add_client("intranet", key_pairs[0]))
        first = await gateway.introspect(token, want_session=True)
        await sessions_of(gateway).revoke(first["session_token"])
        gateway.clock.now += 20 * HOUR
    async with start(token_expired_hours=24) as gateway:
        assert await gateway.introspect(token, want_session=True) == REFUSED


async def test_a_v1_token_that_outlives_its_session_gets_it_renewed(
    start: Any, key_pairs: list[tuple[str, bytes]]
) -> None:
    async with start(token_expired_hours=24) as gateway:
        token = gateway.mint(await gateway.add_client("intranet", key_pairs[0]))
        first = await gateway.introspect(token, want_session=True)
        gateway.clock.now += 9 * HOUR
        again = await gateway.introspect(token, want_session=True)
        assert again["session_token"] == first["session_token"]
        assert again["session_expires_at"] == gateway.clock.now + 8 * HOUR
        assert (await gateway.introspect(first["session_token"]))["active"] is True


async def test_a_disabled_client_ends_its_sessions(
    gateway: Gateway, client_id: str, session_token: str
) -> None:
    await gateway.disable(client_id)
    assert await gateway.introspect(session_token) == REFUSED


async def test_a_disabled_user_has_no_session(gateway: Gateway, session_token: str) -> None:
    await gateway.update_user("u1", enable=False)
    assert await gateway.introspect(session_token) == REFUSED


async def test_sessions_from_before_tokens_not_before_end(
    gateway: Gateway, client_id: str, session_token: str
) -> None:
    await gateway.update_user("u1", tokens_not_before=gateway.clock.now + 1)
    assert await gateway.introspect(session_token) == REFUSED
    gateway.clock.now += 2
    new = await gateway.introspect(gateway.mint(client_id, "u1"), want_session=True)
    assert (await gateway.introspect(new["session_token"]))["active"] is True


async def test_a_refused_v1_token_opens_no_session(gateway: Gateway, client_id: str) -> None:
    await gateway.introspect(gateway.mint(client_id, timestamp=1), want_session=True)
    assert await row_count(gateway) == 0


async def test_sessions_that_ended_long_ago_are_deleted_at_start(
    start: Any, key_pairs: list[tuple[str, bytes]]
) -> None:
    async with start() as gateway:
        client = await gateway.add_client("intranet", key_pairs[0])
        for user in ("old", "new"):
            await gateway.introspect(gateway.mint(client, user), want_session=True)
        await gateway.execute(
            update(SESSIONS)
            .where(SESSIONS.c.user_id == "old")
            .values(expires_at=gateway.clock.now - 8 * HOUR - 1)
        )
    async with start() as gateway:
        async with asyncio.timeout(10):
            while await row_count(gateway) == 2:
                await gateway.http.get("/livez")
        [(left,)] = await gateway.execute(select(SESSIONS.c.user_id))
        assert left == "new"


async def test_another_master_key_derives_other_sessions(
    start: Any, key_pairs: list[tuple[str, bytes]]
) -> None:
    """Whoever reads the database and a token cannot compute the session."""
    tokens = []
    for master in ("m" * 32, "n" * 32):
        async with start(master_key=master) as gateway:
            client = await gateway.add_client("intranet", key_pairs[0])
            token = gateway.mint(client)
            answer = await gateway.introspect(token, want_session=True)
            tokens.append(answer["session_token"])
            await gateway.forget_keys()
    assert len(set(tokens)) == 2
