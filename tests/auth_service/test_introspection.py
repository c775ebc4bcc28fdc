"""What the gateway is told of a credential: its client's terms, limits of guessing, the log."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from auth_service.models import API_KEYS, AUDIT, CLIENTS
from auth_service.stored_keys import digest
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway
from tests.auth_service.host_keys import claims, make_key

KEY = "c2l-" + "k" * 43
ADDRESS = "192.0.2.7"


async def set_client(gateway: Gateway, client_id: str, **values: Any) -> None:
    await gateway.execute(update(CLIENTS).where(CLIENTS.c.id == int(client_id)).values(**values))


async def add_key(gateway: Gateway, client_id: str | None, **values: Any) -> None:
    row = {
        "prefix": KEY[:10],
        "key_hash": digest(KEY),
        "name": "crawler",
        "client_id": client_id and int(client_id),
        "user_id": "key-9",
        "scopes": "chat kb:read",
        "enable": True,
        "create_time": (await gateway.execute(select(CLIENTS.c.create_time)))[0][0],
    }
    await gateway.execute(insert(API_KEYS).values(row | values))


async def refusals(gateway: Gateway) -> list[tuple[str, str, str, int]]:
    """Action, target, reason and number of all that the log has."""
    await gateway.app.state.context.audit.flush()
    rows = await gateway.execute(
        select(AUDIT.c.action, AUDIT.c.target, AUDIT.c.detail, AUDIT.c.count)
    )
    return [(action, target, detail["reason"], count) for action, target, detail, count in rows]


class TestTerms:
    async def test_what_a_client_may_comes_with_each_of_its_credentials(
        self, gateway: Gateway, client_id: str
    ) -> None:
        terms = {
            "limits": {"chat": "60/minute"},
            "allowed_origins": ["https://portal.example"],
            "embeddable": True,
            "knowledge_bases": ["hr", "it"],
        }
        await set_client(gateway, client_id, **terms)
        await add_key(gateway, client_id)
        token = await gateway.introspect(gateway.mint(client_id), want_session=True)
        session = await gateway.introspect(token["session_token"], "cookie")
        key = await gateway.introspect(KEY, "bearer")
        for answer in (token, session, key):
            assert answer["limits"] == {"chat": "60/minute"}
            assert answer["origins"] == ["https://portal.example"]
            assert answer["embeddable"] is True
            assert answer["caller"]["confined_to"] == ["hr", "it"]
            assert answer["csrf_token"] is None
        [(number,)] = await gateway.execute(
            select(API_KEYS.c.id).where(API_KEYS.c.name == "crawler")
        )
        assert [answer["key_id"] for answer in (token, session, key)] == [None, None, str(number)]

    async def test_an_operators_key_has_no_clients_terms(self, gateway: Gateway) -> None:
        answer = await gateway.introspect(gateway.secrets.admin_key)
        assert (answer["limits"], answer["origins"], answer["embeddable"]) == ({}, [], False)
        assert answer["caller"]["confined_to"] is None

    @pytest.mark.parametrize(
        ("of_client", "of_key", "left"),
        [
            (None, None, None),
            (["a", "b"], None, ["a", "b"]),
            (None, ["b", "c"], ["b", "c"]),
            (["a", "b"], ["b", "c"], ["b"]),
            (["a"], ["c"], []),
            ([], None, []),
            (None, [], []),
        ],
    )
    async def test_a_key_reaches_what_it_and_its_client_may(
        self, gateway: Gateway, client_id: str, of_client: Any, of_key: Any, left: Any
    ) -> None:
        await set_client(gateway, client_id, knowledge_bases=of_client)
        await add_key(gateway, client_id, knowledge_bases=of_key)
        answer = await gateway.introspect(KEY)
        assert answer["caller"]["confined_to"] == left

    async def test_origins_of_all_enabled_clients(self, gateway: Gateway, client_id: str) -> None:
        ask = {"Authorization": f"Bearer {gateway.secrets.introspection_key}"}
        assert (await gateway.http.get("/internal/origins", headers=ask)).json() == {"origins": []}
        await set_client(gateway, "0", allowed_origins=["https://b.example", "https://a.example"])
        await set_client(gateway, client_id, allowed_origins=["https://a.example"])
        await set_client(gateway, "1", allowed_origins=["https://c.example"], enable=False)
        answer = await gateway.http.get("/internal/origins", headers=ask)
        assert answer.json() == {"origins": ["https://a.example", "https://b.example"]}
        assert (await gateway.http.get("/internal/origins")).status_code == 401


class TestKeysUser:
    @pytest.mark.parametrize("change", [{"enable": False}, {"deleted": True}])
    async def test_a_key_ends_with_the_user_that_it_acts_as(
        self, gateway: Gateway, client_id: str, change: dict[str, bool]
    ) -> None:
        await gateway.introspect(gateway.mint(client_id, "u1"))
        await add_key(gateway, client_id, user_id="u1")
        assert (await gateway.introspect(KEY))["active"] is True
        await gateway.update_user("u1", **change)
        assert await gateway.introspect(KEY) == REFUSED

    async def test_another_clients_user_of_the_same_name_does_not_matter(
        self, gateway: Gateway, client_id: str
    ) -> None:
        await gateway.store.save_user(0, "u1", username="")
        await gateway.update_user("u1", enable=False)
        await add_key(gateway, client_id, user_id="u1")
        assert (await gateway.introspect(KEY))["active"] is True


class TestRevokedClients:
    async def test_tokens_and_sessions_from_before_end(
        self, gateway: Gateway, client_id: str
    ) -> None:
        old = gateway.mint(client_id)
        session = (await gateway.introspect(old, want_session=True))["session_token"]
        gateway.clock.now += 10
        await set_client(gateway, client_id, tokens_not_before=gateway.clock.now)
        assert await gateway.introspect(old) == REFUSED
        assert await gateway.introspect(session) == REFUSED
        new = await gateway.introspect(gateway.mint(client_id), want_session=True)
        assert (await gateway.introspect(new["session_token"]))["active"] is True

    async def test_a_deleted_user_comes_back_by_a_later_token_only(
        self, gateway: Gateway, client_id: str
    ) -> None:
        old = gateway.mint(client_id)
        first = await gateway.introspect(old, want_session=True)
        gateway.clock.now += 10
        gone = {"username": "", "deleted": True, "tokens_not_before": gateway.clock.now}
        await gateway.update_user("u1", **gone)
        assert await gateway.introspect(old) == REFUSED
        assert await gateway.introspect(first["session_token"]) == REFUSED
        assert (await gateway.user_info(first["jws"])).status_code == 401
        back = await gateway.introspect(gateway.mint(client_id, username="Li"))
        assert back["caller"]["username"] == "Li"
        assert (await gateway.user_info(back["jws"])).json()["data"]["username"] == "Li"


class TestGuessing:
    async def fail(self, gateway: Gateway, times: int = 20) -> None:
        for number in range(times):
            assert await gateway.introspect(f"c2l-guess-{number}", "bearer") == REFUSED

    @pytest.mark.parametrize("place", ["header", "bearer", "cookie", "url", "admin_cookie"])
    async def test_each_wrong_credential_counts(self, gateway: Gateway, place: str) -> None:
        for _ in range(20):
            assert await gateway.introspect("c2s-wrong", place) == REFUSED
        limited = await gateway.introspect("c2s-wrong", place)
        assert limited == {"active": False, "reason": "limited", "retry_after": 60}

    async def test_before_any_rsa(self, gateway: Gateway, client_id: str) -> None:
        """A new token is not opened; afterwards it is as good as ever."""
        await self.fail(gateway)
        token = gateway.mint(client_id)
        assert (await gateway.introspect(token))["reason"] == "limited"
        key = make_key()
        await key.register(gateway, client_id)
        signed = key.sign(claims(gateway, client_id))
        assert (await gateway.introspect(signed, "url"))["reason"] == "limited"
        gateway.clock.now += 60
        assert (await gateway.introspect(token))["active"] is True
        assert (await gateway.introspect(signed, "url"))["active"] is True

    async def test_a_neighbour_who_was_here_before_goes_on(
        self, gateway: Gateway, client_id: str
    ) -> None:
        """Behind the same address: by token, session and key."""
        token = gateway.mint(client_id)
        session = (await gateway.introspect(token, want_session=True))["session_token"]
        await self.fail(gateway)
        for credential in (token, session, gateway.secrets.admin_key):
            assert (await gateway.introspect(credential))["active"] is True
        await gateway.disable(client_id)
        for _ in range(2):  # no longer known as good: not looked at again
            assert (await gateway.introspect(token))["reason"] == "limited"

    async def test_expired_is_no_guess(self, gateway: Gateway, client_id: str) -> None:
        old = gateway.mint(client_id, timestamp=gateway.clock.now - 9 * 3600)
        for _ in range(30):
            assert await gateway.introspect(old) == EXPIRED

    async def test_how_often_is_a_setting(self, start: Any) -> None:
        async with start(login_failures="2/hour") as gateway:
            await self.fail(gateway, 2)
            limited = await gateway.introspect("c2l-guess")
            assert limited == {"active": False, "reason": "limited", "retry_after": 3600}

    @pytest.mark.parametrize("how", ["revoked", "disabled"])
    async def test_who_was_ended_by_an_operator_does_not_lock_the_office_out(
        self, gateway: Gateway, client_id: str, how: str
    ) -> None:
        """A thousand pages behind one address may still show what they had."""
        token = (await gateway.introspect(gateway.mint(client_id), want_session=True))[
            "session_token"
        ]
        values: dict[str, Any] = {"enable": False}
        if how == "revoked":
            values = {"tokens_not_before": gateway.clock.now + 1}
        await gateway.update_user("u1", **values)
        for _ in range(25):
            assert await gateway.introspect(token) == REFUSED
        assert (await gateway.introspect(gateway.mint(client_id, "u2")))["active"] is True


class TestLog:
    async def test_refused_logins_are_written_down_with_their_cause(
        self, gateway: Gateway, client_id: str
    ) -> None:
        await gateway.introspect("nonsense")
        await gateway.introspect("nonsense")
        token = gateway.mint(client_id)
        await gateway.introspect(token)
        await gateway.update_user("u1", enable=False)
        await gateway.introspect(token, "url")
        assert await refusals(gateway) == [
            ("login", "header", "invalid", 2),
            ("login", "url", "disabled", 1),
        ]

    async def test_a_flood_is_one_row(self, gateway: Gateway) -> None:
        for _ in range(100):
            await gateway.introspect("nonsense")
        assert sorted(await refusals(gateway)) == [
            ("login", "header", "invalid", 20),
            ("login", "header", "limited", 80),
        ]
