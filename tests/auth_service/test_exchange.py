"""POST /auth/exchange and /auth/logout: a host app's token for a session, and its end."""

from typing import Any

import httpx
import pytest

from servicekit.identity import CALLER_HEADER
from tests.auth_service.conftest import REFUSED, Gateway
from tests.auth_service.host_keys import HostKey, claims, make_key

KeyPairs = list[tuple[str, bytes]]
INVALID = (401, "invalid_token")


@pytest.fixture
async def key(gateway: Gateway, client_id: str) -> HostKey:
    made = make_key("EdDSA")
    await made.register(gateway, client_id)
    return made


async def exchange(gateway: Gateway, token: object, address: str = "192.0.2.9") -> httpx.Response:
    return await gateway.http.post(
        "/auth/exchange", json={"token": token}, headers={"X-Forwarded-For": address}
    )


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_token_for_a_session(
    gateway: Gateway, client_id: str, key: HostKey, version: str
) -> None:
    token = (
        gateway.mint(client_id, "u1", username="Li")
        if version == "v1"
        else key.sign(claims(gateway, client_id, sub="u1", name="Li"))
    )
    answer = await exchange(gateway, token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    session = body.pop("session_token")
    assert body == {
        "expires_at": int(gateway.clock.now + 8 * 3600),
        "client_id": client_id,
        "user_id": "u1",
        "username": "Li",
    }
    assert (await gateway.introspect(session))["caller"]["user_id"] == "u1"


async def test_a_v2_token_is_used_up_for_the_landing_page_too(
    gateway: Gateway, client_id: str, key: HostKey
) -> None:
    token = key.sign(claims(gateway, client_id))
    assert (await exchange(gateway, token)).status_code == 200
    assert told(await exchange(gateway, token)) == INVALID
    assert await gateway.introspect(token, "url") == REFUSED


async def test_a_v1_token_gives_its_one_session_again(gateway: Gateway, client_id: str) -> None:
    token = gateway.mint(client_id)
    sessions = {(await exchange(gateway, token)).json()["session_token"] for _ in range(2)}
    assert len(sessions) == 1


async def test_all_bad_tokens_are_answered_alike(
    gateway: Gateway, client_id: str, key: HostKey
) -> None:
    await gateway.update_user("u1", enable=False)
    session = (await exchange(gateway, gateway.mint(client_id, "u2"))).json()["session_token"]
    bad = [
        "",
        "x",
        "é",
        "A" * 5000,
        key.sign(claims(gateway, "99")),
        make_key("EdDSA").sign(claims(gateway, client_id)),
        gateway.mint(client_id, inner_client_id="0"),
        gateway.secrets.admin_key,
        session,
        "c2s-" + "A" * 43,
    ]
    bodies = []
    for token in bad:
        answer = await exchange(gateway, token)
        assert told(answer) == INVALID, token[:20]
        bodies.append(answer.json() | {"request_id": ""})
    assert all(body == bodies[0] for body in bodies)


async def test_expired_has_a_code_of_its_own(
    gateway: Gateway, client_id: str, key: HostKey
) -> None:
    long_ago = gateway.clock.now - 10 * 3600
    for token in (
        gateway.mint(client_id, timestamp=long_ago),
        key.sign(claims(gateway, client_id, iat=long_ago, exp=long_ago + 60)),
    ):
        assert told(await exchange(gateway, token)) == (401, "expired_token")


async def test_logging_out_with_a_v1_token_ends_it_and_its_session(
    gateway: Gateway, client_id: str
) -> None:
    token = gateway.mint(client_id)
    session = (await exchange(gateway, token)).json()["session_token"]
    assert (await log_out(gateway, token)).status_code == 204
    assert told(await exchange(gateway, token)) == INVALID
    assert await gateway.introspect(session, "cookie") == REFUSED


async def test_a_revoked_session_does_not_come_back_for_its_v1_token(
    gateway: Gateway, client_id: str
) -> None:
    token = gateway.mint(client_id)
    await log_out(gateway, (await exchange(gateway, token)).json()["session_token"])
    assert told(await exchange(gateway, token)) == INVALID


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 7}, {"token": ["x"]}, [], "x"])
async def test_a_body_that_is_wrong(gateway: Gateway, body: Any) -> None:
    answer = await gateway.http.post("/auth/exchange", json=body)
    assert told(answer) == (422, "invalid")


async def test_an_address_that_fails_too_often_waits(
    gateway: Gateway, client_id: str, key: HostKey
) -> None:
    for _ in range(20):
        assert told(await exchange(gateway, "x")) == INVALID
    for token in ("x", key.sign(claims(gateway, client_id)), gateway.mint(client_id)):
        answer = await exchange(gateway, token)
        assert told(answer) == (429, "too_many_requests")
        assert answer.headers["Retry-After"] == "60"
    good = key.sign(claims(gateway, client_id))
    assert (await exchange(gateway, good, "192.0.2.10")).status_code == 200
    gateway.clock.now += 60
    assert (await exchange(gateway, gateway.mint(client_id))).status_code == 200


async def log_out(
    gateway: Gateway, token: str, *, by: str = "header", **headers: str
) -> httpx.Response:
    jws = (await gateway.introspect(token))["jws"]
    shown = {"Api-Token": token} if by == "header" else {"Cookie": f"chat2llm_session={token}"}
    return await gateway.http.post("/auth/logout", headers={CALLER_HEADER: jws} | shown | headers)


@pytest.mark.parametrize("by", ["header", "cookie"])
async def test_logging_out_ends_the_session_and_no_other(
    gateway: Gateway, client_id: str, by: str
) -> None:
    mine, other = [
        (await exchange(gateway, gateway.mint(client_id, timestamp=made))).json()["session_token"]
        for made in (gateway.clock.now, gateway.clock.now - 1)
    ]
    answer = await log_out(gateway, mine, by=by)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await gateway.introspect(mine) == REFUSED
    assert (await gateway.introspect(other))["active"] is True


async def test_logging_out_clears_the_cookie(gateway: Gateway, client_id: str) -> None:
    sessions = [
        (await exchange(gateway, gateway.mint(client_id, user))).json()["session_token"]
        for user in ("u1", "u2")
    ]
    ended = "chat2llm_session=; Path=/; Max-Age=0; HttpOnly"
    answer = await log_out(gateway, sessions[0])
    assert answer.headers.get_list("Set-Cookie") == [f"{ended}; SameSite=Lax"]
    answer = await log_out(gateway, sessions[1], **{"X-Forwarded-Proto": "https"})
    assert answer.headers.get_list("Set-Cookie") == [
        f"{ended}; Secure; SameSite=Lax",
        f"{ended}; Secure; SameSite=None; Partitioned",
    ]


async def test_nobody_logs_out_without_an_identity(gateway: Gateway) -> None:
    assert told(await gateway.http.post("/auth/logout"))[0] == 401
