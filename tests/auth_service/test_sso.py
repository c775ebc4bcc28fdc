"""Single sign-on: the demo login, its limits, and where browsers are sent."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from sqlalchemy import select, update

from auth_service.models import CLIENTS, SESSIONS, USERS
from auth_service.sessions import Sessions
from tests.auth_service.conftest import Gateway

WRONG_SECRET = "单点失败, 请提供正确口令"
UNKNOWN_CLIENT = "无效的客户端,无法单点登录,请重新进入"
KEPT = ":/%#?=@[]!$&'()*+,;"


async def sso(
    gateway: Gateway, *, address: str = "192.0.2.7", cookie: str = "", **query: str
) -> httpx.Response:
    headers = {"X-Forwarded-For": address}
    if cookie:
        headers["Cookie"] = f"other=1; chat2llm_session={cookie}"
    return await gateway.http.get("/sso", params=query, headers=headers)


async def log_in(gateway: Gateway, **options: str) -> str:
    answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret, **options)
    assert answer.status_code == 307
    [token] = parse_qs(urlsplit(answer.headers["Location"]).query)["token"]
    return token


async def demo_user(gateway: Gateway, token: str) -> str:
    answer = await gateway.introspect(token, "url")
    assert answer["caller"]["client_id"] == "0"
    return str(answer["caller"]["user_id"])


def refusal(answer: httpx.Response) -> str:
    """What the 401 page shows."""
    assert answer.status_code == 307
    target = urlsplit(answer.headers["Location"])
    assert target.path == "/401"
    [message] = parse_qs(target.query)["message"]
    return message


class TestDemo:
    async def test_the_right_secret_logs_in(self, gateway: Gateway) -> None:
        answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret)
        assert answer.status_code == 307
        assert answer.headers["Location"].startswith("/sso?token=c2s-")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"

    async def test_the_client_is_the_demo_when_nobody_says(self, gateway: Gateway) -> None:
        answer = await sso(gateway, secret=gateway.secrets.demo_secret)
        assert answer.headers["Location"].startswith("/sso?token=c2s-")

    async def test_the_session_is_a_user_like_others(self, gateway: Gateway) -> None:
        answer = await gateway.introspect(await log_in(gateway), "url", want_session=True)
        user_id = answer["caller"]["user_id"]
        assert user_id.startswith("demo-")
        assert len(user_id) == 5 + 16
        assert answer["caller"]["username"] == user_id
        assert answer["caller"]["scopes"] == ["chat", "kb:read"]
        assert (await gateway.user_info(answer["jws"])).json()["data"]["user_id"] == user_id

    async def test_hole_8_every_browser_has_a_user_of_its_own(self, gateway: Gateway) -> None:
        """Behind one address, too."""
        users = {await demo_user(gateway, await log_in(gateway)) for _ in range(3)}
        assert len(users) == 3

    async def test_a_browser_with_a_live_demo_session_stays_who_it_is(
        self, gateway: Gateway
    ) -> None:
        first = await log_in(gateway)
        again = await log_in(gateway, cookie=first)
        assert again != first
        assert await demo_user(gateway, again) == await demo_user(gateway, first)

    async def test_another_clients_session_is_not_taken_over(
        self, gateway: Gateway, client_id: str
    ) -> None:
        theirs = await gateway.introspect(gateway.mint(client_id, "u1"), want_session=True)
        token = await log_in(gateway, cookie=theirs["session_token"])
        assert (await demo_user(gateway, token)).startswith("demo-")

    async def test_an_ended_session_makes_a_new_user(self, gateway: Gateway) -> None:
        first = await log_in(gateway)
        user = await demo_user(gateway, first)
        await Sessions(gateway.store, b"", gateway.clock).revoke(first)
        assert await demo_user(gateway, await log_in(gateway, cookie=first)) != user

    async def test_a_chosen_secret(self, start: Any) -> None:
        async with start(h5_demo_secret="小 秘密&=%") as gateway:
            answer = await sso(gateway, client="0", secret="小 秘密&=%")
            assert answer.headers["Location"].startswith("/sso?token=")

    async def test_a_disabled_demo(self, gateway: Gateway) -> None:
        before = await log_in(gateway)
        await gateway.disable("0")
        answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret)
        assert "已停用" in refusal(answer)
        assert (await gateway.introspect(before))["active"] is False

    async def test_switched_off_by_one_setting(self, start: Any) -> None:
        async with start(h5_demo_enabled=False) as gateway:
            answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret)
            assert refusal(answer) == UNKNOWN_CLIENT
            assert await gateway.execute(select(USERS)) == []

    async def test_it_needs_no_rsa_key(self, gateway: Gateway) -> None:
        await log_in(gateway)
        [(key,)] = await gateway.execute(select(CLIENTS.c.private_key).where(CLIENTS.c.id == 0))
        assert key is None


class TestRefused:
    @pytest.mark.parametrize("secret", [None, "", "wrong", "小秘密", "x" * 5000, "%00", "chat2llm"])
    async def test_hole_5_secrets_that_are_wrong(
        self, gateway: Gateway, secret: str | None
    ) -> None:
        """`chat2llm` was the old server's constant."""
        query = {} if secret is None else {"secret": secret}
        answer = await sso(gateway, client="0", **query)
        assert answer.status_code == 307
        assert answer.headers["Location"] == quote(f"/401?message={WRONG_SECRET}", safe=KEPT)
        assert await gateway.execute(select(USERS)) == []
        assert await gateway.execute(select(SESSIONS)) == []

    async def test_the_location_byte_for_byte(self, gateway: Gateway) -> None:
        answer = await sso(gateway, client="0", secret="x")
        assert answer.headers["Location"] == (
            "/401?message=%E5%8D%95%E7%82%B9%E5%A4%B1%E8%B4%A5,%20%E8%AF%B7%E6%8F%90%E4%BE%9B"
            "%E6%AD%A3%E7%A1%AE%E5%8F%A3%E4%BB%A4"
        )

    @pytest.mark.parametrize("client", ["2", "9", "-1", "", "00", "abc", "0 ", "//evil.test"])
    async def test_clients_without_single_sign_on(self, gateway: Gateway, client: str) -> None:
        answer = await sso(gateway, client=client, secret=gateway.secrets.demo_secret)
        assert answer.status_code == 307
        assert answer.headers["Location"] == quote(f"/401?message={UNKNOWN_CLIENT}", safe=KEPT)


class TestTargets:
    async def test_an_h5_elsewhere(self, start: Any) -> None:
        async with start(h5_address="https://chat.example.com/") as gateway:
            answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret)
            assert answer.headers["Location"].startswith("https://chat.example.com/sso?token=c2s-")
            answer = await sso(gateway, client="0")
            assert answer.headers["Location"].startswith("https://chat.example.com/401?message=")

    async def test_nothing_of_the_request_decides(self, gateway: Gateway) -> None:
        answer = await gateway.http.get(
            "/sso",
            params={
                "client": "0",
                "secret": gateway.secrets.demo_secret,
                "redirect_uri": "https://evil.test",
                "H5_ADDRESS": "https://evil.test",
            },
            headers={
                "Host": "evil.test",
                "X-Forwarded-Host": "evil.test",
                "Origin": "https://evil.test",
            },
        )
        assert answer.headers["Location"].startswith("/sso?token=c2s-")

    @pytest.mark.parametrize("address", ["chat.example.com", "ftp://x", "//x", "javascript:1"])
    async def test_an_address_that_is_none(self, start: Any, address: str) -> None:
        with pytest.raises(ValueError, match="http"):
            async with start(h5_address=address):
                pass


class TestGuessing:
    """Ten failures of one address in five minutes."""

    async def test_the_eleventh_try_waits(self, gateway: Gateway) -> None:
        for _ in range(20):
            assert (await sso(gateway, client="0", secret="guess")).status_code == 307
        for secret in ("guess", gateway.secrets.demo_secret):
            answer = await sso(gateway, client="0", secret=secret)
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == "60"
            assert "请稍后再试" in answer.json()["detail"]

    async def test_the_wait_ends(self, gateway: Gateway) -> None:
        for _ in range(21):
            await sso(gateway, client="0", secret="guess")
        gateway.clock.now += 59
        answer = await sso(gateway, client="0", secret=gateway.secrets.demo_secret)
        assert answer.headers["Retry-After"] == "1"
        gateway.clock.now += 1
        await log_in(gateway)
        for _ in range(20):
            assert (await sso(gateway, client="0", secret="guess")).status_code == 307
        assert (await sso(gateway, client="0", secret="guess")).status_code == 429

    async def test_other_addresses_go_on(self, gateway: Gateway) -> None:
        for _ in range(21):
            await sso(gateway, client="0", secret="guess")
        await log_in(gateway, address="192.0.2.8")

    async def test_an_ipv6_host_is_one_address(self, gateway: Gateway) -> None:
        for number in range(20):
            await sso(gateway, client="0", secret="guess", address=f"2001:db8::{number:x}")
        blocked = await sso(gateway, client="0", secret="guess", address="2001:db8::ffff")
        assert blocked.status_code == 429
        await log_in(gateway, address="2001:db8:0:1::1")

    async def test_a_mapped_address_is_the_same_address(self, gateway: Gateway) -> None:
        for _ in range(20):
            await sso(gateway, client="0", secret="guess", address="::ffff:192.0.2.7")
        assert (await sso(gateway, client="0", secret="guess")).status_code == 429

    async def test_only_the_last_forwarded_address_counts(self, gateway: Gateway) -> None:
        for number in range(20):
            address = f"198.51.100.{number}, 192.0.2.7"
            await sso(gateway, client="0", secret="guess", address=address)
        assert (await sso(gateway, client="0", secret="guess")).status_code == 429

    async def test_coming_without_a_secret_is_no_guess(self, gateway: Gateway) -> None:
        """The published H5 does so whenever it has no token."""
        for _ in range(20):
            assert (await sso(gateway, client="0")).status_code == 307
        await log_in(gateway)


async def test_a_user_of_the_demo_can_be_disabled(gateway: Gateway) -> None:
    token = await log_in(gateway)
    await gateway.execute(update(USERS).values(enable=False))
    assert (await gateway.introspect(token))["active"] is False
