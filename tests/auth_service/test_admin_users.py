"""/admin/users and /admin/sessions: what an operator ends is refused at the next introspection."""

from typing import Any

import pytest

from tests.auth_service.conftest import REFUSED, Clock, Gateway
from tests.auth_service.console import Console


@pytest.fixture
def console(gateway: Gateway) -> Console:
    return Console(gateway)


@pytest.fixture
async def credentials(gateway: Gateway, console: Console, client_id: str) -> list[tuple[str, str]]:
    """A v1 token, a session and an API key of the user u1."""
    token = gateway.mint(client_id)
    session = (await gateway.introspect(token, want_session=True))["session_token"]
    body = {"name": "robot", "client_id": int(client_id), "user_id": "u1", "scopes": ["chat"]}
    key = await console.do("POST", "/api-keys", body, status=201)
    return [(token, "header"), (session, "cookie"), (key["key"], "bearer")]


async def states(gateway: Gateway, credentials: list[tuple[str, str]]) -> list[Any]:
    return [(await gateway.introspect(*credential))["active"] for credential in credentials]


async def test_users_are_listed_as_their_clients_named_them(
    gateway: Gateway, console: Console, client_id: str
) -> None:
    for user_id, username in (("u1", "张三"), ("u/2", "Li Si"), ("u_3", "100%")):
        await gateway.introspect(gateway.mint(client_id, user_id, username=username))
    await console.do("POST", "/users", {"client_id": 0, "user_id": "guest"}, status=201)
    for query, ids in (
        ("", ["guest", "u/2", "u1", "u_3"]),
        (f"client_id={client_id}", ["u/2", "u1", "u_3"]),
        ("q=张", ["u1"]),
        ("q=li", ["u/2"]),
        ("q=U_", ["u_3"]),
        ("q=%25", ["u_3"]),
        ("enable=false", []),
        ("client_id=99", []),
        ("page=2&page_size=3", ["u_3"]),
    ):
        page = await console.get(f"/users?{query}")
        assert [item["user_id"] for item in page["items"]] == ids, query
    shown = await console.get(f"/users/{client_id}/u/2")
    assert (shown["client_id"], shown["user_id"], shown["username"]) == (client_id, "u/2", "Li Si")
    assert await console.get(f"/users/{client_id}/u%2F2") == shown


async def test_a_user_added_before_the_first_login(
    gateway: Gateway, console: Console, client_id: str
) -> None:
    body = {
        "client_id": int(client_id),
        "user_id": "u1",
        "username": " 张三 ",
        "groups": ["sales", "sales", "hr"],
        "enable": False,
    }
    added = await console.do("POST", "/users", body, status=201)
    assert (added["username"], added["groups"], added["enable"]) == ("张三", ["sales", "hr"], False)
    assert await gateway.introspect(gateway.mint(client_id)) == REFUSED
    await console.do("PATCH", f"/users/{client_id}/u1", {"enable": True})
    answer = await gateway.introspect(gateway.mint(client_id))
    assert answer["caller"]["groups"] == ["sales", "hr"]
    await console.do("POST", "/users", body, status=409)
    await console.do("POST", "/users", body | {"client_id": 77}, status=404)


@pytest.mark.parametrize(
    "values",
    [
        {"user_id": ""},
        {"user_id": "u" * 65},
        {"user_id": "a\nb"},
        {"user_id": "\ud800"},
        {"username": ""},
        {"username": "n" * 51},
        {"groups": ["g" * 65]},
        {"groups": [""]},
        {"groups": [f"g{number}" for number in range(51)]},
        {"groups": None},
        {"client_id": "x"},
        {"admin": True},
    ],
    ids=lambda values: str(values)[:40],
)
async def test_what_is_not_accepted(console: Console, values: dict[str, Any]) -> None:
    await console.do("POST", "/users", {"client_id": 0, "user_id": "u"} | values, status=422)
    assert (await console.get("/users"))["total"] == 0


async def test_disabling_ends_every_credential_of_the_user_alone(
    gateway: Gateway, console: Console, client_id: str, credentials: list[tuple[str, str]]
) -> None:
    other = (gateway.mint(client_id, "u2"), "header")
    assert await states(gateway, [*credentials, other]) == [True] * 4
    await console.do("PATCH", f"/users/{client_id}/u1", {"enable": False})
    assert await states(gateway, [*credentials, other]) == [False, False, False, True]
    assert await gateway.introspect(gateway.mint(client_id)) == REFUSED
    await console.do("PATCH", f"/users/{client_id}/u1", {"enable": True})
    assert await states(gateway, [*credentials, other]) == [True] * 4


async def test_revoking_ends_sessions_and_older_tokens_but_no_api_key(
    gateway: Gateway,
    console: Console,
    client_id: str,
    credentials: list[tuple[str, str]],
    clock: Clock,
) -> None:
    clock.now += 1
    body = {"client_id": int(client_id), "user_id": "u1"}
    assert await console.do("POST", "/users/revoke", body) == {"sessions": 1}
    assert await states(gateway, credentials) == [False, False, True]
    clock.now += 1
    assert (await gateway.introspect(gateway.mint(client_id)))["active"] is True
    await console.do("POST", "/users/revoke", body | {"user_id": "nobody"}, status=404)
    await console.do("POST", "/users/revoke", body | {"user_id": "\ud800"}, status=422)
    await console.do("POST", "/users/revoke", body | {"user_id": "\0"}, status=422)


async def test_a_deleted_user_is_gone_until_a_newer_token_brings_a_new_one(
    gateway: Gateway,
    console: Console,
    client_id: str,
    credentials: list[tuple[str, str]],
    clock: Clock,
) -> None:
    await console.do("PATCH", f"/users/{client_id}/u1", {"groups": ["sales"]})
    late = gateway.mint(client_id)
    clock.now += 1
    gone = await console.do("DELETE", f"/users/{client_id}/u1")
    assert "保留" in gone.pop("note")
    assert gone == {"sessions": 1, "api_keys": 1}
    assert await states(gateway, credentials) == [False] * 3
    assert await gateway.introspect(late) == REFUSED  # nor does an older token bring it back
    for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", "")):
        body = {"enable": True} if method == "PATCH" else None
        await console.do(method, f"/users/{client_id}/u1{path}", body, status=404)
    assert (await console.get("/users"))["total"] == 0
    clock.now += 1
    answer = await gateway.introspect(gateway.mint(client_id, username="again"))
    assert (answer["caller"]["username"], answer["caller"]["groups"]) == ("again", [])
    assert await states(gateway, credentials) == [False] * 3


async def test_an_operator_may_bring_a_deleted_user_back_without_its_old_tokens(
    gateway: Gateway, console: Console, client_id: str, clock: Clock
) -> None:
    token = gateway.mint(client_id)
    assert (await gateway.introspect(token))["active"] is True
    clock.now += 1
    await console.do("DELETE", f"/users/{client_id}/u1")
    body = {"client_id": int(client_id), "user_id": "u1"}
    await console.do("POST", "/users", body, status=201)
    assert await gateway.introspect(token) == REFUSED


async def test_one_session_is_ended_alone(
    gateway: Gateway, console: Console, client_id: str, clock: Clock
) -> None:
    tokens = []
    for user_id in ("u1", "u2"):
        clock.now += 1
        answer = await gateway.introspect(gateway.mint(client_id, user_id), want_session=True)
        tokens.append(answer["session_token"])
    page = await console.get("/sessions")
    assert [item["user_id"] for item in page["items"]] == ["u2", "u1"]
    assert not {tokens[0], tokens[1]} & {
        str(value) for item in page["items"] for value in item.values()
    }
    newest = page["items"][0]
    assert (newest["method"], newest["revoked"]) == ("v1", False)
    assert newest["expires_at"] == clock.now + 8 * 3600
    await console.do("DELETE", f"/sessions/{newest['session_id']}", status=204)
    assert await states(gateway, [(tokens[0], "cookie"), (tokens[1], "cookie")]) == [True, False]
    assert [item["user_id"] for item in (await console.get("/sessions"))["items"]] == ["u1"]
    ended = await console.get(f"/sessions?live=false&client_id={client_id}&user_id=u2")
    assert [item["revoked"] for item in ended["items"]] == [True]
    await console.do("DELETE", f"/sessions/{'0' * 64}", status=404)
    clock.now += 9 * 3600
    assert (await console.get("/sessions"))["total"] == 0


async def test_every_change_is_in_the_audit_log(
    gateway: Gateway, console: Console, client_id: str
) -> None:
    answer = await gateway.introspect(gateway.mint(client_id), want_session=True)
    path = f"/users/{client_id}/u1"
    session = (await console.get("/sessions"))["items"][0]["session_id"]
    await console.do("DELETE", f"/sessions/{session}", status=204)
    await console.do("PATCH", path, {"enable": False})
    await console.do("PATCH", path, {"enable": True})
    await console.do("PATCH", path, {"groups": ["hr"]})
    await console.do("POST", "/users/revoke", {"client_id": int(client_id), "user_id": "u1"})
    await console.do("DELETE", path)
    entries = await console.audit(target=f"user {client_id}/u1")
    assert [entry["action"] for entry in reversed(entries)] == [
        "session.revoke",
        "user.disable",
        "user.enable",
        "user.change",
        "user.revoke",
        "user.delete",
    ]
    assert answer["session_token"] not in str(entries)
    assert {entry["actor"] for entry in entries} == {"admin/root"}
