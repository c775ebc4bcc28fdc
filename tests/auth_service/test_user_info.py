"""`/user/info` and the route that only the gateway may call."""

import re
import time

import pytest

from servicekit.identity import CALLER_HEADER, Caller, CallerVerifier, sign_caller
from tests.auth_service.conftest import Gateway


async def test_bug_14_first_sight_has_no_nulls(gateway: Gateway, client_id: str) -> None:
    answer = await gateway.introspect(gateway.mint(client_id, "u1", username="张三"))
    shown = await gateway.user_info(answer["jws"])
    assert shown.status_code == 200
    body = shown.json()
    created = body["data"].pop("create_time")
    assert body == {
        "code": 200,
        "msg": "success",
        "data": {"client_id": client_id, "user_id": "u1", "username": "张三", "enable": True},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", created)


async def test_an_api_key_sees_itself(gateway: Gateway) -> None:
    answer = await gateway.introspect(gateway.secrets.admin_key, "bearer")
    shown = (await gateway.user_info(answer["jws"])).json()["data"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", shown.pop("create_time"))
    assert shown == {
        "client_id": "admin",
        "user_id": "admin",
        "username": "admin",
        "enable": True,
    }


async def test_a_disabled_user_is_told_so_while_the_gateway_still_remembers(
    gateway: Gateway, client_id: str
) -> None:
    answer = await gateway.introspect(gateway.mint(client_id, "u1"))
    await gateway.update_user("u1", enable=False)
    assert (await gateway.user_info(answer["jws"])).json()["data"]["enable"] is False


async def test_a_caller_that_is_gone(gateway: Gateway, client_id: str) -> None:
    caller = Caller(client_id, "nobody", "x", ("chat",))
    jws = sign_caller(caller, gateway.secrets.caller_key, expires_at=time.time() + 60)
    shown = await gateway.user_info(jws)
    assert shown.status_code == 401
    assert shown.json() == {"detail": "Authentication required: Api-Token无效!"}


@pytest.mark.parametrize("header", [None, "", "x", "a.b.c"])
async def test_hole_1_no_way_around_the_gateway(gateway: Gateway, header: str | None) -> None:
    headers = {} if header is None else {CALLER_HEADER: header}
    assert (await gateway.http.get("/user/info", headers=headers)).status_code == 401


async def test_hole_4_a_caller_sees_nobody_else(gateway: Gateway, client_id: str) -> None:
    await gateway.introspect(gateway.mint(client_id, "u2"))
    jws = (await gateway.introspect(gateway.mint(client_id, "u1")))["jws"]
    shown = await gateway.http.get(
        "/user/info", params={"user_id": "u2", "client_id": "0"}, headers={CALLER_HEADER: jws}
    )
    assert shown.json()["data"]["user_id"] == "u1"


async def test_an_api_token_alone_is_no_proof_here(gateway: Gateway, client_id: str) -> None:
    headers = {"Api-Token": gateway.mint(client_id)}
    assert (await gateway.http.get("/user/info", headers=headers)).status_code == 401


async def test_the_jws_says_what_the_answer_says(gateway: Gateway, client_id: str) -> None:
    answer = await gateway.introspect(gateway.mint(client_id, "张"))
    public_key = gateway.secrets.caller_key.public_key()
    caller = CallerVerifier(public_key).verify(answer["jws"])
    assert caller.client_id == answer["caller"]["client_id"]
    assert caller.user_id == answer["caller"]["user_id"]
    assert list(caller.scopes) == answer["caller"]["scopes"]
    assert 290 < answer["jws_expires_at"] - time.time() <= 300


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", "{key}", "bearer {key}", "Bearer {key}x", "Bearer é"],
)
async def test_only_the_gateway_may_ask(gateway: Gateway, authorization: str) -> None:
    header = authorization.format(key=gateway.secrets.introspection_key)
    answer = await gateway.http.post(
        "/internal/introspect",
        json={"credential": gateway.secrets.admin_key, "presented_as": "bearer"},
        headers={b"Authorization": header.encode("latin-1")},
    )
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"credential":1,"presented_as":"header"}',
        b'{"credential":"x","presented_as":"query"}',
        b'\xff\xfe{"credential":"x"}',
    ],
)
async def test_a_question_that_is_wrong(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.http.post(
        "/internal/introspect",
        content=body,
        headers={
            "Authorization": f"Bearer {gateway.secrets.introspection_key}",
            "Content-Type": "application/json",
        },
    )
    assert 400 <= answer.status_code < 500


async def test_health(gateway: Gateway) -> None:
    for path in ("/livez", "/readyz"):
        assert (await gateway.http.get(path)).json() == {"status": "ok"}


async def test_the_document_names_the_routes(gateway: Gateway) -> None:
    paths = (await gateway.http.get("/openapi.json")).json()["paths"]
    assert {"/user/info", "/sso", "/internal/introspect"} <= set(paths)
