"""/admin/api-keys and /admin/admins: shown once, and ended when an operator says so."""

from typing import Any

import pytest

from tests.auth_service.conftest import EXPIRED, REFUSED, Clock, Gateway
from tests.auth_service.console import Console

OPERATOR_KEY = {"name": "ci", "client_id": None, "scopes": ["admin"]}
PASSWORD = "correct horse battery"


@pytest.fixture
def console(gateway: Gateway) -> Console:
    return Console(gateway)


async def issue(console: Console, **values: Any) -> dict[str, Any]:
    body = {"name": "robot", "client_id": 0, "scopes": ["chat"]} | values
    issued: dict[str, Any] = await console.do("POST", "/api-keys", body, status=201)
    return issued


async def log_in(gateway: Gateway, username: str, password: str) -> int:
    answer = await gateway.http.post(
        "/admin/login", json={"username": username, "password": password}
    )
    return answer.status_code


class TestApiKeys:
    async def test_a_key_acts_as_it_was_issued(self, gateway: Gateway, console: Console) -> None:
        issued = await issue(
            console, scopes=["kb:write", "chat", "chat"], knowledge_bases=["faq", "手册"]
        )
        key, shown = issued["key"], issued["api_key"]
        assert key.startswith(shown["prefix"])
        assert (len(key), len(shown["prefix"])) == (47, 10)
        assert shown["scopes"] == ["chat", "kb:write"]
        assert shown["user_id"] == f"key-{shown['key_id']}"
        answer = await gateway.introspect(key, "bearer")
        caller = answer["caller"]
        assert (caller["client_id"], caller["user_id"]) == ("0", shown["user_id"])
        assert (caller["scopes"], caller["confined_to"]) == (["chat", "kb:write"], ["faq", "手册"])
        assert answer["key_id"] == str(shown["key_id"])
        again = await console.get(f"/api-keys/{shown['key_id']}")
        assert again["last_used_at"] == gateway.clock.now
        assert key not in str(again)

    async def test_a_key_is_confined_within_its_client(
        self, gateway: Gateway, console: Console
    ) -> None:
        client = await console.add_client(knowledge_bases=["faq", "news"])
        issued = await issue(console, client_id=int(client), knowledge_bases=["faq", "secret"])
        answer = await gateway.introspect(issued["key"], "bearer")
        assert answer["caller"]["confined_to"] == ["faq"]
        await console.do(
            "PATCH", f"/api-keys/{issued['api_key']['key_id']}", {"knowledge_bases": None}
        )
        answer = await gateway.introspect(issued["key"], "bearer")
        assert answer["caller"]["confined_to"] == ["faq", "news"]

    async def test_an_operators_key(self, gateway: Gateway, console: Console) -> None:
        issued = await console.do("POST", "/api-keys", OPERATOR_KEY, status=201)
        caller = (await gateway.introspect(issued["key"], "bearer"))["caller"]
        assert (caller["client_id"], caller["scopes"]) == ("admin", ["admin"])
        assert issued["api_key"]["client_id"] is None

    async def test_lists_and_filters(self, console: Console) -> None:
        await issue(console, name="alpha")
        await issue(console, name="beta", client_id=1)
        await console.do("PATCH", "/api-keys/2", {"enable": False})
        for query, names in (
            ("", ["admin", "alpha", "beta"]),
            ("client_id=1", ["beta"]),
            ("operators=true", ["admin"]),
            ("q=LPH", ["alpha"]),
            ("enable=false", ["alpha"]),
        ):
            page = await console.get(f"/api-keys?{query}")
            assert [item["name"] for item in page["items"]] == names, query

    @pytest.mark.parametrize(
        "values",
        [
            {"name": ""},
            {"scopes": []},
            {"scopes": ["root"]},
            {"scopes": ["admin"]},
            {"client_id": None, "scopes": ["admin"], "knowledge_bases": ["faq"]},
            {"knowledge_bases": ["k" * 256]},
            {"user_id": "a\nb"},
            {"user_id": ""},
            {"expires_at": 5},
            {"expires_at": 1e18},
            {"expires_at": "soon"},
            {"key": "c2l-mine"},
        ],
        ids=str,
    )
    async def test_what_is_not_accepted(self, console: Console, values: dict[str, Any]) -> None:
        body = {"name": "robot", "client_id": 0, "scopes": ["chat"]} | values
        await console.do("POST", "/api-keys", body, status=422)
        assert (await console.get("/api-keys"))["total"] == 1

    async def test_the_owner_has_to_be_said(self, console: Console) -> None:
        await console.do("POST", "/api-keys", {"name": "x", "scopes": ["chat"]}, status=422)

    async def test_what_is_not_there(self, console: Console) -> None:
        await console.do(
            "POST", "/api-keys", {"name": "x", "client_id": 77, "scopes": ["chat"]}, status=404
        )
        for method, path, body in (
            ("GET", "/api-keys/77", None),
            ("PATCH", "/api-keys/77", {"enable": False}),
            ("POST", "/api-keys/77/rotate", None),
            ("DELETE", "/api-keys/77", None),
        ):
            await console.do(method, path, body, status=404)
        assert await console.audit() == []

    async def test_scopes_and_confinement_are_checked_against_what_stays(
        self, console: Console
    ) -> None:
        issued = await console.do("POST", "/api-keys", OPERATOR_KEY, status=201)
        path = f"/api-keys/{issued['api_key']['key_id']}"
        await console.do("PATCH", path, {"knowledge_bases": ["faq"]}, status=422)
        both = {"scopes": ["chat"], "knowledge_bases": ["faq"]}
        assert (await console.do("PATCH", path, both))["scopes"] == ["chat"]
        await console.do("PATCH", path, {"scopes": ["admin"]}, status=422)
        mine = (await issue(console))["api_key"]["key_id"]
        await console.do("PATCH", f"/api-keys/{mine}", {"scopes": ["admin"]}, status=422)

    async def test_disabled_enabled_rotated_expired_deleted(
        self, gateway: Gateway, console: Console, clock: Clock
    ) -> None:
        issued = await issue(console)
        key, path = issued["key"], f"/api-keys/{issued['api_key']['key_id']}"
        await console.do("PATCH", path, {"enable": False})
        assert await gateway.introspect(key, "bearer") == REFUSED
        await console.do("PATCH", path, {"enable": True})
        assert (await gateway.introspect(key, "bearer"))["active"] is True
        rotated = await console.do("POST", f"{path}/rotate")
        assert await gateway.introspect(key, "bearer") == REFUSED
        assert rotated["api_key"]["user_id"] == issued["api_key"]["user_id"]
        assert rotated["api_key"]["last_used_at"] is None
        assert (await gateway.introspect(rotated["key"], "bearer"))["active"] is True
        await console.do("PATCH", path, {"expires_at": clock.now + 10})
        assert (await gateway.introspect(rotated["key"], "bearer"))["active"] is True
        clock.now += 11
        assert await gateway.introspect(rotated["key"], "bearer") == EXPIRED
        await console.do("PATCH", path, {"expires_at": None})
        assert (await gateway.introspect(rotated["key"], "bearer"))["active"] is True
        await console.do("DELETE", path, status=204)
        assert await gateway.introspect(rotated["key"], "bearer") == REFUSED
        assert [entry["action"] for entry in reversed(await console.audit(outcome="done"))] == [
            "api-key.add",
            "api-key.disable",
            "api-key.enable",
            "api-key.rotate",
            "api-key.change",
            "api-key.change",
            "api-key.delete",
        ]

    async def test_nobody_inherits_what_a_deleted_key_was(self, console: Console) -> None:
        first = (await issue(console))["api_key"]
        await console.do("DELETE", f"/api-keys/{first['key_id']}", status=204)
        assert (await issue(console))["api_key"]["user_id"] != first["user_id"]

    async def test_the_first_admin_key_is_changed_where_it_comes_from(
        self, gateway: Gateway, console: Console
    ) -> None:
        (first,) = (await console.get("/api-keys"))["items"]
        path = f"/api-keys/{first['key_id']}"
        for method, action in (("POST", f"{path}/rotate"), ("DELETE", path)):
            problem = await console.do(method, action, status=409)
            assert "auth/admin.key" in problem["detail"]
        body = OPERATOR_KEY | {"user_id": "admin"}
        await console.do("POST", "/api-keys", body, status=409)
        await console.do("PATCH", path, {"enable": False})
        assert await gateway.introspect(gateway.secrets.admin_key, "bearer") == REFUSED


class TestAdmins:
    async def test_a_made_password_is_shown_once_and_works(
        self, gateway: Gateway, console: Console
    ) -> None:
        added = await console.do("POST", "/admins", {"username": "张.san@corp"}, status=201)
        assert len(added["password"]) >= 20
        assert await log_in(gateway, "张.san@corp", added["password"]) == 200
        (shown,) = (await console.get("/admins"))["items"]
        assert (shown["username"], shown["enable"]) == ("张.san@corp", True)
        assert added["password"] not in str(await console.audit())

    async def test_a_given_password_is_not_said_again(
        self, gateway: Gateway, console: Console
    ) -> None:
        body = {"username": "root", "password": PASSWORD}
        added = await console.do("POST", "/admins", body, status=201)
        assert added["password"] is None
        assert await log_in(gateway, "root", PASSWORD) == 200
        await console.do("POST", "/admins", body, status=409)

    @pytest.mark.parametrize(
        "body",
        [
            {"username": ""},
            {"username": "a b"},
            {"username": "u" * 51},
            {"username": "root", "password": "eleven char"},
            {"username": "root", "password": "p" * 201},
            {"username": "root", "password": "twelve chars\ud800"},
            {"username": "root", "scopes": []},
        ],
        ids=str,
    )
    async def test_what_is_not_accepted(self, console: Console, body: dict[str, Any]) -> None:
        await console.do("POST", "/admins", body, status=422)
        assert (await console.get("/admins"))["total"] == 0

    @pytest.mark.parametrize("change", [{"password": PASSWORD + "!"}, {"enable": False}])
    async def test_a_change_ends_every_session(
        self, gateway: Gateway, console: Console, change: dict[str, Any]
    ) -> None:
        body = {"username": "root", "password": PASSWORD}
        await console.do("POST", "/admins", body, status=201)
        login = await gateway.http.post("/admin/login", json=body)
        cookie = login.cookies["chat2llm_admin"]
        assert (await gateway.introspect(cookie, "admin_cookie"))["active"] is True
        await console.do("PATCH", "/admins/root", {})
        assert (await gateway.introspect(cookie, "admin_cookie"))["active"] is True
        await console.do("PATCH", "/admins/root", change)
        assert await gateway.introspect(cookie, "admin_cookie") == REFUSED
        assert await log_in(gateway, "root", PASSWORD) == 401
        await console.do("PATCH", "/admins/root", {"enable": True})
        assert await gateway.introspect(cookie, "admin_cookie") == REFUSED
        assert await log_in(gateway, "root", change.get("password", PASSWORD)) == 200

    async def test_the_last_may_go_since_admin_keys_exist(
        self, gateway: Gateway, console: Console
    ) -> None:
        body = {"username": "root", "password": PASSWORD}
        await console.do("POST", "/admins", body, status=201)
        cookie = (await gateway.http.post("/admin/login", json=body)).cookies["chat2llm_admin"]
        await console.do("DELETE", "/admins/root", status=204)
        assert await gateway.introspect(cookie, "admin_cookie") == REFUSED
        assert await log_in(gateway, "root", PASSWORD) == 401
        for method in ("PATCH", "DELETE"):
            await console.do(method, "/admins/root", {} if method == "PATCH" else None, status=404)
        entries = await console.audit(target="admin root", outcome="done")
        changes = [entry["action"] for entry in entries if entry["action"] != "admin.login"]
        assert changes == ["admin.delete", "admin.add"]
