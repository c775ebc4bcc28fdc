"""/admin/clients: host apps and their keys, and that a change is seen at the next introspection."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from servicekit.identity import Caller
from tests.auth_service.conftest import REFUSED, Clock, Gateway
from tests.auth_service.console import ADDRESS, Console


@pytest.fixture
def console(gateway: Gateway) -> Console:
    return Console(gateway)


def public_pem(key: Any) -> str:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


ED25519 = public_pem(ed25519.Ed25519PrivateKey.generate())
EC = public_pem(ec.generate_private_key(ec.SECP256R1()))
RSA = public_pem(rsa.generate_private_key(65537, 2048))


class TestList:
    async def test_the_fixed_clients_come_first(self, console: Console) -> None:
        page = await console.get("/clients")
        assert {key: page[key] for key in ("total", "page", "page_size")} == {
            "total": 2,
            "page": 1,
            "page_size": 50,
        }
        assert [(item["client_id"], item["kind"]) for item in page["items"]] == [
            ("0", "demo"),
            ("1", "wecom"),
        ]
        assert page["items"][0]["has_v1_key"] is False

    async def test_pages_and_filters(self, console: Console) -> None:
        for name in ("alpha", "Beta", "100%", "10_0"):
            await console.add_client(name, description=f"about {name}")
        await console.do("PATCH", "/clients/2", {"enable": False})
        assert [
            item["name"] for item in (await console.get("/clients?page=2&page_size=4"))["items"]
        ] == [
            "100%",
            "10_0",
        ]
        for query, names in (
            ("q=beta", ["Beta"]),
            ("q=0%25", ["100%"]),
            ("q=0_", ["10_0"]),
            ("q=about", ["alpha", "Beta", "100%", "10_0"]),
            ("enable=false", ["alpha"]),
            ("kind=wecom", ["wecom"]),
            ("page=9", []),
        ):
            page = await console.get(f"/clients?{query}")
            assert [item["name"] for item in page["items"]] == names, query

    @pytest.mark.parametrize("query", ["page=0", "page_size=201", "page=x", "q=%00", "enable=?"])
    async def test_a_bad_query(self, console: Console, query: str) -> None:
        problem = await console.do("GET", f"/clients?{query}", status=422)
        assert problem["code"] == "invalid"
        assert problem["request_id"]


class TestAddAndChange:
    async def test_a_client_has_what_it_was_given(self, console: Console) -> None:
        given = {
            "name": " 内网 ",
            "kind": "portal",
            "description": "for all",
            "allowed_origins": ["HTTPS://Portal.Example:443", "http://10.0.0.1:8080"],
            "embeddable": True,
            "limits": {"chat": "30/minute", "upload": "off"},
            "knowledge_bases": ["faq", "手册"],
        }
        added = await console.do("POST", "/clients", given, status=201)
        assert added["client_id"] == "2"
        assert added["create_time"].endswith("Z")
        assert [added[key] for key in ("kind", "description", "embeddable")] == [
            "portal",
            "for all",
            True,
        ]
        assert (added["limits"], added["knowledge_bases"]) == (
            {"chat": "30/minute", "upload": "off"},
            ["faq", "手册"],
        )
        assert (added["name"], added["has_v1_key"], added["signing_keys"]) == ("内网", False, [])
        assert added["allowed_origins"] == ["https://portal.example", "http://10.0.0.1:8080"]
        assert await console.get("/clients/2") == added

    async def test_a_change_leaves_the_rest(self, console: Console) -> None:
        await console.add_client(description="kept", knowledge_bases=["faq"])
        changed = await console.do("PATCH", "/clients/2", {"name": "new"})
        assert (changed["name"], changed["description"]) == ("new", "kept")
        assert changed["knowledge_bases"] == ["faq"]
        changed = await console.do("PATCH", "/clients/2", {"knowledge_bases": None})
        assert changed["knowledge_bases"] is None
        assert await console.do("PATCH", "/clients/2", {}) == changed
        assert [entry["action"] for entry in await console.audit(target="client")] == [
            "client.change",
            "client.change",
            "client.add",
        ]

    @pytest.mark.parametrize(
        "values",
        [
            {"name": ""},
            {"name": "n" * 51},
            {"name": "a\nb"},
            {"name": "\ud800"},
            {"name": None},
            {"description": "d" * 201},
            {"enabled": False},
            {"kind": "demo"},
            {"kind": "No Kind"},
            {"allowed_origins": ["https://a.example/path"]},
            {"allowed_origins": ["https://a.example/"]},
            {"allowed_origins": ["https://*.example"]},
            {"allowed_origins": ["https://a.example;script-src *"]},
            {"allowed_origins": ["https://user@a.example"]},
            {"allowed_origins": ["https://a.example:99999"]},
            {"allowed_origins": ["https://a.example:"]},
            {"allowed_origins": ["javascript://a.example"]},
            {"allowed_origins": ["null"]},
            {"allowed_origins": ["*"]},
            {"allowed_origins": ["https://"]},
            {"allowed_origins": ["https://a.example?x"]},
            {"allowed_origins": ["https://a b"]},
            {"allowed_origins": ["https://[::1"]},
            {"allowed_origins": [f"https://h{number}.example" for number in range(51)]},
            {"limits": {"chats": "1/minute"}},
            {"limits": {"chat": "often"}},
            {"limits": {"chat": "0/minute"}},
            {"limits": {"chat": "5/minute;9/hour"}},
            {"limits": {"chat": "9" * 60 + "/minute"}},
            {"limits": {"chat": ""}},
            {"knowledge_bases": [""]},
            {"knowledge_bases": ["k" * 256]},
            {"knowledge_bases": [f"kb{number}" for number in range(101)]},
            {"knowledge_bases": [f"{number}" + "k" * 250 for number in range(40)]},
        ],
        ids=lambda values: str(values)[:40],
    )
    async def test_what_is_not_accepted(self, console: Console, values: dict[str, Any]) -> None:
        problem = await console.do("POST", "/clients", {"name": "intranet"} | values, status=422)
        assert any("\u4e00" <= char <= "\u9fff" for char in problem["detail"])
        assert (await console.get("/clients"))["total"] == 2
        assert await console.audit() == []

    async def test_an_ipv6_host_is_an_origin(self, console: Console) -> None:
        await console.add_client(allowed_origins=["http://[2001:DB8::1]:8443", "http://[::1]"])
        shown = await console.get("/clients/2")
        assert shown["allowed_origins"] == ["http://[2001:db8::1]:8443", "http://[::1]"]

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/clients/77", None),
            ("PATCH", "/clients/77", {"name": "x"}),
            ("PATCH", "/clients/77", {}),
            ("DELETE", "/clients/77", None),
            ("POST", "/clients/77/revoke", None),
            ("POST", "/clients/77/v1-key", None),
            ("DELETE", "/clients/77/v1-key", None),
            ("POST", "/clients/77/signing-keys", {"public_key": ED25519}),
            ("DELETE", "/clients/77/signing-keys/x", None),
            ("DELETE", "/clients/0/signing-keys/x", None),
        ],
    )
    async def test_what_is_not_there(
        self, console: Console, method: str, path: str, body: Any
    ) -> None:
        problem = await console.do(method, path, body, status=404)
        assert problem["code"] == "not_found"
        assert await console.audit() == []


class TestDisableRevokeDelete:
    async def test_disabling_ends_every_credential_and_enabling_brings_it_back(
        self, gateway: Gateway, console: Console, client_id: str
    ) -> None:
        token = gateway.mint(client_id)
        session = (await gateway.introspect(token, want_session=True))["session_token"]
        key = await console.do(
            "POST",
            "/api-keys",
            {"name": "robot", "client_id": int(client_id), "scopes": ["chat"]},
            status=201,
        )
        credentials = [(token, "header"), (session, "cookie"), (key["key"], "bearer")]
        await console.do("PATCH", f"/clients/{client_id}", {"enable": False})
        for credential, place in credentials:
            assert await gateway.introspect(credential, place) == REFUSED
        await console.do("PATCH", f"/clients/{client_id}", {"enable": True})
        for credential, place in credentials:
            assert (await gateway.introspect(credential, place))["active"] is True

    async def test_revoking_ends_sessions_and_older_tokens(
        self, gateway: Gateway, console: Console, client_id: str, clock: Clock
    ) -> None:
        old = gateway.mint(client_id)
        session = (await gateway.introspect(old, want_session=True))["session_token"]
        clock.now += 1
        assert await console.do("POST", f"/clients/{client_id}/revoke") == {"sessions": 1}
        assert await gateway.introspect(old) == REFUSED
        assert await gateway.introspect(session, "cookie") == REFUSED
        clock.now += 1
        assert (await gateway.introspect(gateway.mint(client_id)))["active"] is True
        assert await console.do("POST", f"/clients/{client_id}/revoke") == {"sessions": 0}

    async def test_a_deleted_client_takes_its_users_sessions_and_keys_along(
        self, gateway: Gateway, console: Console, client_id: str
    ) -> None:
        token = gateway.mint(client_id)
        session = (await gateway.introspect(token, want_session=True))["session_token"]
        await gateway.introspect(gateway.mint(client_id, "u2"))
        number = int(client_id)
        key = await console.do(
            "POST",
            "/api-keys",
            {"name": "robot", "client_id": number, "scopes": ["chat"]},
            status=201,
        )
        await console.do(
            "POST", f"/clients/{number}/signing-keys", {"public_key": ED25519}, status=201
        )
        gone = await console.do("DELETE", f"/clients/{number}")
        note = gone.pop("note")
        assert gone == {"users": 2, "sessions": 1, "api_keys": 1, "signing_keys": 1}
        assert "stay" in note
        assert "保留" in note
        for credential, place in ((token, "header"), (session, "cookie"), (key["key"], "bearer")):
            assert await gateway.introspect(credential, place) == REFUSED
        await console.do("GET", f"/clients/{number}", status=404)
        assert await console.add_client("next") == str(number + 1)

    @pytest.mark.parametrize("client_id", [0, 1])
    async def test_the_fixed_clients_stay(self, console: Console, client_id: int) -> None:
        problem = await console.do("DELETE", f"/clients/{client_id}", status=409)
        assert "disable" in problem["detail"]


class TestV1Key:
    async def test_a_client_without_a_key_takes_no_v1_token_until_one_is_made(
        self, gateway: Gateway, console: Console, key_pairs: list[tuple[str, bytes]]
    ) -> None:
        number = await console.add_client()
        foreign = gateway.mint(number, public_key=key_pairs[0][0])
        assert await gateway.introspect(foreign) == REFUSED
        made = await console.do("POST", f"/clients/{number}/v1-key", status=201)
        assert made["replaced"] is False
        assert load_pem_public_key(made["public_key"].encode()).key_size == 3072  # type: ignore[union-attr]  # it is RSA
        token = gateway.mint(number, public_key=made["public_key"])
        assert (await gateway.introspect(token))["active"] is True
        shown = await console.get(f"/clients/{number}")
        assert shown["has_v1_key"] is True
        assert made["public_key"][40:80] not in json.dumps(shown)

    async def test_rotating_refuses_tokens_of_the_key_before(
        self, gateway: Gateway, console: Console, client_id: str
    ) -> None:
        old = gateway.mint(client_id)
        assert (await gateway.introspect(old))["active"] is True
        answer = await console.send(
            "POST", f"/clients/{client_id}/v1-key", Accept="application/x-pem-file"
        )
        assert (answer.status_code, answer.headers["Content-Type"]) == (
            201,
            "application/x-pem-file",
        )
        assert answer.headers["Cache-Control"] == "no-store"
        name = f'attachment; filename="client-{client_id}-v1-key.pem"'
        assert answer.headers["Content-Disposition"] == name
        assert await gateway.introspect(old) == REFUSED
        token = gateway.mint(client_id, public_key=answer.text)
        assert (await gateway.introspect(token))["active"] is True

    async def test_removing_refuses_all_v1_tokens_but_no_session(
        self, gateway: Gateway, console: Console, client_id: str
    ) -> None:
        token = gateway.mint(client_id)
        session = (await gateway.introspect(token, want_session=True))["session_token"]
        await console.do("DELETE", f"/clients/{client_id}/v1-key", status=204)
        assert await gateway.introspect(token) == REFUSED
        assert (await gateway.introspect(session, "cookie"))["active"] is True

    async def test_hole_5_no_half_of_a_v1_key_is_in_the_database_or_the_audit_log(
        self, gateway: Gateway, console: Console
    ) -> None:
        made = await console.do("POST", "/clients/0/v1-key", status=201)
        middle = made["public_key"].splitlines()[3]
        path = gateway.database.url.removeprefix("sqlite+aiosqlite:///")
        for file in (Path(path), Path(f"{path}-wal")):
            content = file.read_bytes()
            assert middle.encode() not in content
            assert b"PRIVATE KEY" not in content
            assert base64.b64decode(middle) not in content


class TestSigningKeys:
    @pytest.mark.parametrize(
        ("pem", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED25519, "EdDSA")]
    )
    async def test_the_key_says_the_algorithm(
        self, console: Console, pem: str, algorithm: str
    ) -> None:
        messy = "\r\n  " + pem.replace("\n", "\r\n") + "\n"
        added = await console.do(
            "POST", "/clients/0/signing-keys", {"public_key": messy}, status=201
        )
        assert (added["algorithm"], added["public_key"]) == (algorithm, pem)
        assert len(added["kid"]) == 43
        assert (await console.get("/clients/0"))["signing_keys"] == [added]

    async def test_the_name_is_the_rfc_7638_thumbprint(self, console: Console) -> None:
        """Of the example in RFC 8037, appendix A.3."""
        raw = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        pem = ed25519.Ed25519PublicKey.from_public_bytes(raw).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        added = await console.do(
            "POST", "/clients/0/signing-keys", {"public_key": pem.decode()}, status=201
        )
        assert added["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    async def test_the_thumbprint_of_a_curve_point(self, console: Console) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = key.public_key().public_numbers()

        def text(number: int) -> str:
            return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")

        canonical = f'{{"crv":"P-256","kty":"EC","x":"{text(numbers.x)}","y":"{text(numbers.y)}"}}'
        digest = hashlib.sha256(canonical.encode()).digest()
        added = await console.do(
            "POST", "/clients/0/signing-keys", {"public_key": public_pem(key)}, status=201
        )
        assert added["kid"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")

    async def test_two_at_once_and_one_can_go(self, console: Console) -> None:
        for kid, pem in (("2026-a", ED25519), ("2026-b", EC)):
            body = {"public_key": pem, "kid": kid}
            await console.do("POST", "/clients/0/signing-keys", body, status=201)
        body = {"public_key": RSA, "kid": "2026-c"}
        problem = await console.do("POST", "/clients/0/signing-keys", body, status=409)
        assert "at most two" in problem["detail"]
        await console.do("DELETE", "/clients/0/signing-keys/2026-a", status=204)
        problem = await console.do(
            "POST", "/clients/0/signing-keys", body | {"kid": "2026-b"}, status=409
        )
        assert "already" in problem["detail"]
        await console.do("POST", "/clients/0/signing-keys", body, status=201)
        kids = [key["kid"] for key in (await console.get("/clients/0"))["signing_keys"]]
        assert sorted(kids) == ["2026-b", "2026-c"]

    @pytest.mark.parametrize(
        ("pem", "hint"),
        [
            (public_pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
            (public_pem(ec.generate_private_key(ec.SECP384R1())), "secp384r1"),
            (public_pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
            (public_pem(ed448.Ed448PrivateKey.generate()), "something else"),
            (public_pem(dsa.generate_private_key(1024)), "something else"),
            ("", "something else"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "something else"),
            ('{"kty":"oct","k":"c2VjcmV0"}', "something else"),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", "something else"),
            ("x" * 20_000, "something else"),
        ],
    )
    async def test_other_keys_are_refused_with_a_reason(
        self, console: Console, pem: str, hint: str
    ) -> None:
        problem = await console.do(
            "POST", "/clients/0/signing-keys", {"public_key": pem}, status=422
        )
        assert hint in problem["detail"]
        assert "BEGIN PUBLIC KEY" in problem["detail"]
        assert (await console.get("/clients/0"))["signing_keys"] == []

    @pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
    async def test_a_private_key_is_refused_called_leaked_and_kept_nowhere(
        self, gateway: Gateway, console: Console, form: PrivateFormat
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        problem = await console.do(
            "POST", "/clients/0/signing-keys", {"public_key": pem}, status=422
        )
        assert "leaked" in problem["detail"]
        assert "已泄露" in problem["detail"]
        assert pem.splitlines()[1] not in json.dumps(problem)
        assert await console.audit() == []

    @pytest.mark.parametrize("kid", ["", "k" * 65, "a b", "a/b", "键", "a\n"])
    async def test_a_bad_name(self, console: Console, kid: str) -> None:
        body = {"public_key": ED25519, "kid": kid}
        problem = await console.do("POST", "/clients/0/signing-keys", body, status=422)
        assert "kid" in problem["detail"]


class TestWhoMay:
    @pytest.mark.parametrize("scopes", [(), ("chat", "kb:read"), ("chat", "kb:read", "kb:write")])
    async def test_only_operators(self, gateway: Gateway, scopes: tuple[str, ...]) -> None:
        user = Console(gateway, Caller("2", "u1", "u1", scopes))
        for route in gateway.app.routes:
            path = getattr(route, "path", "")
            if path.startswith("/admin/") and path not in PUBLIC:
                for method in getattr(route, "methods", ()):
                    filled = path.removeprefix("/admin").replace("{client_id}", "0")
                    answer = await user.send(method, filled, {})
                    assert answer.status_code == 403, (method, path, answer.text)
                    assert answer.json()["code"] == "forbidden"

    async def test_nobody_without_a_caller(self, gateway: Gateway) -> None:
        answer = await gateway.http.get("/admin/clients")
        assert answer.status_code == 401


PUBLIC = ("/admin/login", "/admin/logout", "/admin/me")


async def test_every_change_says_who_what_and_from_where(console: Console) -> None:
    await console.add_client("内网")
    await console.do("PATCH", "/clients/2", {"enable": False})
    await console.do("PATCH", "/clients/2", {"enable": True})
    await console.do("PATCH", "/clients/2", {"limits": {"chat": "5/minute"}, "name": "x"})
    await console.do("POST", "/clients/2/v1-key", status=201)
    await console.do("DELETE", "/clients/2/v1-key", status=204)
    body = {"public_key": ED25519, "kid": "k1"}
    await console.do("POST", "/clients/2/signing-keys", body, status=201)
    await console.do("DELETE", "/clients/2/signing-keys/k1", status=204)
    await console.do("POST", "/clients/2/revoke")
    await console.do("DELETE", "/clients/2")
    entries = await console.audit()
    assert [entry["action"] for entry in reversed(entries)] == [
        "client.add",
        "client.disable",
        "client.enable",
        "client.change",
        "client.v1-key.make",
        "client.v1-key.remove",
        "client.signing-key.add",
        "client.signing-key.remove",
        "client.revoke",
        "client.delete",
    ]
    for entry in entries:
        assert (entry["actor"], entry["target"]) == ("admin/root", "client 2")
        assert (entry["address"], entry["outcome"], entry["count"]) == (ADDRESS, "done", 1)
        assert len(entry["request_id"]) == 32
    assert entries[6]["detail"] == {"limits": "{'chat': '5/minute'}", "name": "x"}
