"""The console's login: names that nobody finds out, the lock, the session and its CSRF token."""

import asyncio
import statistics
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from auth_service.models import ADMIN_SESSIONS, ADMINS, AUDIT
from auth_service.passwords import Passwords
from servicekit.errors import Unavailable
from servicekit.identity import CALLER_HEADER
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway, Start

PASSWORD = "correct horse 电池 staple"
LOCKED = 900


@pytest.fixture(scope="session")
def password_hash() -> str:
    return asyncio.run(Passwords().hash(PASSWORD))


@pytest.fixture
async def console(start: Start, password_hash: str) -> Any:
    """The service with an operator, and with addresses that may fail often."""
    async with start(login_failures="1000/minute") as gateway:
        await add_admin(gateway, password_hash)
        yield gateway


async def add_admin(gateway: Gateway, password_hash: str, name: str = "ops") -> None:
    row = {
        "username": name,
        "password_hash": password_hash,
        "enable": True,
        "failures": 0,
        "create_time": datetime.now(UTC).replace(tzinfo=None),
    }
    await gateway.execute(insert(ADMINS).values(row))


async def log_in(
    gateway: Gateway, password: str = PASSWORD, name: str = "ops", **headers: str
) -> httpx.Response:
    headers = {"X-Forwarded-For": "192.0.2.9"} | headers
    return await gateway.http.post(
        "/admin/login", json={"username": name, "password": password}, headers=headers
    )


def cookie_of(answer: httpx.Response) -> str:
    [cookie] = answer.headers.get_list("Set-Cookie")
    name, _, value = cookie.partition(";")[0].partition("=")
    assert name == "chat2llm_admin"
    return str(value)


async def fail(gateway: Gateway, times: int, name: str = "ops") -> list[int]:
    return [(await log_in(gateway, "wrong", name)).status_code for _ in range(times)]


class TestSession:
    async def test_an_operator_logs_in(self, console: Gateway) -> None:
        answer = await log_in(console)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        body = answer.json()
        cookie = cookie_of(answer)
        assert cookie.startswith("c2a-")
        assert len(cookie) == 4 + 43
        ends = console.clock.now + 8 * 3600
        assert (body["username"], body["expires_at"]) == ("ops", int(ends))
        identity = await console.introspect(cookie, "admin_cookie")
        assert identity["caller"] == {
            "client_id": "admin",
            "user_id": "ops",
            "username": "ops",
            "scopes": ["chat", "kb:read", "kb:write", "admin"],
            "groups": [],
            "confined_to": None,
        }
        assert identity["csrf_token"] == body["csrf_token"]
        assert identity["expires_at"] == ends

    @pytest.mark.parametrize("https", [False, True])
    async def test_the_cookie(self, console: Gateway, https: bool) -> None:
        answer = await log_in(console, **({"X-Forwarded-Proto": "https"} if https else {}))
        [cookie] = answer.headers.get_list("Set-Cookie")
        expected = {"HttpOnly", "Path=/", "SameSite=strict"} | ({"Secure"} if https else set())
        assert set(cookie.split("; ")[1:]) == expected

    async def test_it_ends_after_eight_hours(self, console: Gateway) -> None:
        cookie = cookie_of(await log_in(console))
        console.clock.now += 8 * 3600
        assert await console.introspect(cookie, "admin_cookie") == EXPIRED

    @pytest.mark.parametrize("place", ["header", "bearer", "cookie", "url"])
    async def test_it_counts_in_its_cookie_only(self, console: Gateway, place: str) -> None:
        assert await console.introspect(cookie_of(await log_in(console)), place) == REFUSED

    async def test_other_credentials_do_not_count_in_its_cookie(self, console: Gateway) -> None:
        assert await console.introspect(console.secrets.admin_key, "admin_cookie") == REFUSED

    async def test_only_hashes_are_kept(self, console: Gateway) -> None:
        cookie = cookie_of(await log_in(console))
        rows = str(await console.execute(select(ADMIN_SESSIONS)))
        assert cookie[4:] not in rows
        [(kept,)] = await console.execute(select(ADMINS.c.password_hash))
        assert kept.startswith("$argon2id$")

    async def test_each_login_is_a_session_with_a_csrf_token_of_its_own(
        self, console: Gateway
    ) -> None:
        answers = [await log_in(console) for _ in range(2)]
        assert len({cookie_of(answer) for answer in answers}) == 2
        assert len({answer.json()["csrf_token"] for answer in answers}) == 2

    async def test_logging_out_ends_this_session(self, console: Gateway) -> None:
        mine, other = [cookie_of(await log_in(console)) for _ in range(2)]
        answer = await with_cookie(console, "POST", "/admin/logout", mine)
        assert answer.status_code == 204
        [cleared] = answer.headers.get_list("Set-Cookie")
        assert cleared.startswith('chat2llm_admin=""; ')
        assert "Max-Age=0" in cleared
        assert await console.introspect(mine, "admin_cookie") == REFUSED
        assert (await console.introspect(other, "admin_cookie"))["active"] is True

    async def test_who_am_i(self, console: Gateway) -> None:
        login = await log_in(console)
        answer = await with_cookie(console, "GET", "/admin/me", cookie_of(login))
        assert answer.json() == {
            "username": "ops",
            "scopes": ["chat", "kb:read", "kb:write", "admin"],
            "csrf_token": login.json()["csrf_token"],
        }

    async def test_a_key_has_no_csrf_token(self, console: Gateway) -> None:
        jws = (await console.introspect(console.secrets.admin_key))["jws"]
        answer = await console.http.get("/admin/me", headers={CALLER_HEADER: jws})
        assert (answer.json()["username"], answer.json()["csrf_token"]) == ("admin", None)

    async def test_an_operators_user_info(self, console: Gateway) -> None:
        identity = await console.introspect(cookie_of(await log_in(console)), "admin_cookie")
        told = (await console.user_info(identity["jws"])).json()["data"]
        assert (told["client_id"], told["user_id"], told["enable"]) == ("admin", "ops", True)

    async def test_a_disabled_operators_sessions_end(self, console: Gateway) -> None:
        cookie = cookie_of(await log_in(console))
        await console.execute(update(ADMINS).values(enable=False))
        assert await console.introspect(cookie, "admin_cookie") == REFUSED

    async def test_another_master_key_makes_other_csrf_tokens(
        self, start: Start, password_hash: str
    ) -> None:
        tokens: list[str] = []
        for master in ("m" * 32, "n" * 32):
            async with start(master_key=master) as gateway:
                if not tokens:
                    await add_admin(gateway, password_hash)
                    cookie = cookie_of(await log_in(gateway))
                identity = await gateway.introspect(cookie, "admin_cookie")
                tokens.append(identity["csrf_token"])
        assert len(set(tokens)) == 2


class TestRefused:
    async def test_all_causes_are_answered_alike(
        self, console: Gateway, password_hash: str
    ) -> None:
        await add_admin(console, password_hash, "disabled")
        await console.execute(
            update(ADMINS).where(ADMINS.c.username == "disabled").values(enable=False)
        )
        answers = [
            await log_in(console, "wrong"),
            await log_in(console, PASSWORD, "nobody"),
            await log_in(console, PASSWORD, "disabled"),
            await log_in(console, PASSWORD, "OPS"),
            await log_in(console, PASSWORD + " "),
            await log_in(console, ""),
            await log_in(console, PASSWORD, ""),
            await log_in(console, PASSWORD, "a\x00b"),
            await log_in(console, PASSWORD, "n" * 51),
            await log_in(console, "p" * 201),
        ]
        bodies = [answer.json() | {"request_id": ""} for answer in answers]
        assert all(body == bodies[0] for body in bodies)
        assert (bodies[0]["status"], bodies[0]["code"]) == (401, "invalid_login")
        assert not any("Set-Cookie" in answer.headers for answer in answers)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            [],
            {"username": "ops"},
            {"username": 1, "password": PASSWORD},
            {"username": "ops", "password": None},
            {"username": "ops", "password": "p" * 1001},
        ],
    )
    async def test_a_body_that_is_wrong(self, console: Gateway, body: Any) -> None:
        assert (await console.http.post("/admin/login", json=body)).status_code == 422

    @pytest.mark.parametrize(
        "body",
        [rb'{"username":"\ud800","password":"x"}', rb'{"username":"ops","password":"\ud800"}'],
    )
    async def test_half_characters(self, console: Gateway, body: bytes) -> None:
        json = {"Content-Type": "application/json"}
        answer = await console.http.post("/admin/login", content=body, headers=json)
        assert answer.status_code in {401, 422}

    async def test_unknown_names_take_as_long(self, console: Gateway) -> None:
        async def seconds(name: str) -> float:
            started = time.perf_counter()
            await log_in(console, "wrong", name)
            return time.perf_counter() - started

        known = [await seconds("ops") for _ in range(8)]
        unknown = [await seconds("nobody") for _ in range(8)]
        ratio = statistics.median(unknown) / statistics.median(known)
        assert 0.4 < ratio < 2.5

    async def test_an_address_that_fails_too_often_waits(
        self, start: Start, password_hash: str
    ) -> None:
        async with start(login_failures="3/minute") as gateway:
            await add_admin(gateway, password_hash)
            assert await fail(gateway, 3) == [401] * 3
            answer = await log_in(gateway)
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == "60"
            elsewhere = await log_in(gateway, **{"X-Forwarded-For": "192.0.2.10"})
            assert elsewhere.status_code == 200

    async def test_the_log_has_names_of_operators_and_no_others(self, console: Gateway) -> None:
        """Who is in a hurry types the password where the name belongs."""
        await log_in(console, "wrong")
        await log_in(console, "ops", PASSWORD)
        await console.app.state.context.audit.flush()
        rows = await console.execute(select(AUDIT.c.action, AUDIT.c.target, AUDIT.c.detail))
        assert [(action, target) for action, target, _ in rows] == [
            ("admin.login", "admin ops"),
            ("admin.login", ""),
        ]
        assert PASSWORD not in str(await console.execute(select(AUDIT)))

    async def test_logins_are_written_down(self, console: Gateway) -> None:
        await log_in(console)
        [row] = await console.execute(
            select(AUDIT.c.actor, AUDIT.c.action, AUDIT.c.outcome, AUDIT.c.address)
        )
        assert tuple(row) == ("admin/ops", "admin.login", "done", "192.0.2.9")


class TestLock:
    @pytest.mark.parametrize("name", ["ops", "nobody"])
    async def test_ten_failures_lock_the_name_whether_or_not_it_is_one(
        self, console: Gateway, name: str
    ) -> None:
        assert await fail(console, 10, name) == [401] * 10
        console.clock.now += 100
        for password in ("wrong", PASSWORD):
            answer = await log_in(console, password, name)
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == str(LOCKED - 100)
        console.clock.now += LOCKED - 101
        assert (await log_in(console, PASSWORD, name)).status_code == 429
        console.clock.now += 1
        assert await fail(console, 10, name) == [401] * 10
        assert await fail(console, 1, name) == [429]

    @pytest.mark.parametrize("name", ["ops", "nobody"])
    async def test_the_lock_lasts_from_the_last_failure(self, console: Gateway, name: str) -> None:
        for _ in range(10):
            assert await fail(console, 1, name) == [401]
            console.clock.now += 80
        answer = await log_in(console, PASSWORD, name)
        assert answer.headers["Retry-After"] == str(LOCKED - 80)

    async def test_after_the_lock_the_right_password_is_right(self, console: Gateway) -> None:
        await fail(console, 12)
        console.clock.now += LOCKED
        assert (await log_in(console)).status_code == 200

    async def test_a_success_forgets_failures(self, console: Gateway) -> None:
        for _ in range(3):
            assert await fail(console, 9) == [401] * 9
            assert (await log_in(console)).status_code == 200

    async def test_failures_of_another_quarter_of_an_hour_do_not_add_up(
        self, console: Gateway
    ) -> None:
        for _ in range(3):
            assert await fail(console, 9) == [401] * 9
            console.clock.now += LOCKED

    async def test_other_operators_go_on(self, console: Gateway, password_hash: str) -> None:
        await add_admin(console, password_hash, "other")
        await fail(console, 11)
        assert (await log_in(console, PASSWORD, "other")).status_code == 200

    async def test_a_lock_ends_no_session(self, console: Gateway) -> None:
        cookie = cookie_of(await log_in(console))
        await fail(console, 11)
        assert (await console.introspect(cookie, "admin_cookie"))["active"] is True

    async def test_tries_at_the_same_moment_at_two_copies_all_count(
        self, start: Start, password_hash: str
    ) -> None:
        async with (
            start(login_failures="1000/minute") as one,
            start(login_failures="1000/minute") as other,
        ):
            await add_admin(one, password_hash)
            tries = [log_in(copy, "wrong") for copy in (one, other) for _ in range(10)]
            codes = [answer.status_code for answer in await asyncio.gather(*tries)]
            assert sorted(codes) == [401] * 10 + [429] * 10
            assert (await log_in(one)).status_code == 429


class TestPasswords:
    async def test_more_than_can_wait_are_told_to_come_back(self) -> None:
        passwords = Passwords()
        tries = (passwords.verify("x", None) for _ in range(30))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 10
        assert outcomes.count(False) == 20


async def with_cookie(gateway: Gateway, method: str, path: str, cookie: str) -> httpx.Response:
    """As the gateway forwards it."""
    jws = (await gateway.introspect(cookie, "admin_cookie"))["jws"]
    headers = {CALLER_HEADER: jws, "Cookie": f"chat2llm_admin={cookie}"}
    return await gateway.http.request(method, path, headers=headers)
