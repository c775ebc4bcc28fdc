"""WeCom when it fails, what is kept of it, and who is turned away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from sqlalchemy import select, update

from auth_service.models import AUDIT, SESSIONS, USERS
from auth_service.sso import LoginRefused, WeCom, WeComApp
from tests.auth_service.conftest import Clock, Gateway, Start
from tests.auth_service.wecom_login import H5, OURS, Browser, refusal, token
from tests.fakes.wecom import LIFETIME, WeComServer, wecom_server


@pytest.fixture
async def wecom() -> AsyncIterator[WeComServer]:
    async with wecom_server() as running:
        yield running


@pytest.fixture
async def gateway(start: Start, wecom: WeComServer) -> AsyncIterator[Gateway]:
    """The service with this WeCom set up."""
    async with start(**wecom.settings, h5_address=H5) as running:
        yield running


@pytest.fixture
def browser(gateway: Gateway, wecom: WeComServer) -> Browser:
    return Browser(gateway, wecom)


def provider(wecom: WeComServer, clock: Clock, **options: Any) -> aclosing[WeCom]:
    app = WeComApp(
        corp_id=wecom.corp_id,
        agent_id=wecom.agent_id,
        secret=wecom.secret,
        login_url=wecom.url,
        api_url=wecom.url,
        callback_url=f"{OURS}/ent-wechat-sso",
    )
    return aclosing(WeCom(app, clock, **options))


class TestToken:
    async def test_one_serves_many_logins(self, browser: Browser, wecom: WeComServer) -> None:
        for _ in range(3):
            token(await browser.log_in())
        assert wecom.count("gettoken") == 1

    async def test_bug_17_it_is_renewed_before_it_ends(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        token(await browser.log_in())
        gateway.clock.now += LIFETIME - 301
        token(await browser.log_in())
        assert wecom.count("gettoken") == 1
        gateway.clock.now += 1
        token(await browser.log_in())
        assert wecom.count("gettoken") == 2

    async def test_a_short_one_serves_its_login(self, browser: Browser, wecom: WeComServer) -> None:
        wecom.expires_in = 60
        for _ in range(2):
            token(await browser.log_in())
        assert wecom.count("gettoken") == 2

    async def test_one_fetches_for_all(self, clock: Clock, wecom: WeComServer) -> None:
        wecom.pause = asyncio.Event()
        async with provider(wecom, clock) as opened:
            logins = [asyncio.create_task(opened.identify(wecom.code(), "")) for _ in range(20)]
            await wecom.asked.wait()
            wecom.pause.set()
            users = await asyncio.gather(*logins)
        assert {user.user_id for user in users} == {"zhangsan"}
        assert wecom.count("gettoken") == 1

    async def test_a_failure_is_everybodys(self, clock: Clock, wecom: WeComServer) -> None:
        """Twenty people do not wait for twenty time-outs one after the other."""
        wecom.pause = asyncio.Event()
        wecom.then("gettoken", "", 502)
        async with provider(wecom, clock) as opened:
            logins = [asyncio.create_task(opened.identify(wecom.code(), "")) for _ in range(20)]
            await wecom.asked.wait()
            wecom.pause.set()
            errors = await asyncio.gather(*logins, return_exceptions=True)
            assert all(isinstance(error, LoginRefused) for error in errors)
            assert wecom.calls == ["gettoken"]
            assert (await opened.identify(wecom.code(), "")).user_id == "zhangsan"

    async def test_whoever_gives_up_keeps_nobody_waiting(
        self, clock: Clock, wecom: WeComServer
    ) -> None:
        wecom.pause = asyncio.Event()
        async with provider(wecom, clock) as opened:
            first = asyncio.create_task(opened.identify(wecom.code(), ""))
            await wecom.asked.wait()
            second = asyncio.create_task(opened.identify(wecom.code(), ""))
            await asyncio.sleep(0)
            first.cancel()
            wecom.pause.set()
            assert (await second).user_id == "zhangsan"

    @pytest.mark.parametrize("errcode", [40014, 42001])
    async def test_one_that_ended_early_is_renewed_once(
        self, browser: Browser, wecom: WeComServer, errcode: int
    ) -> None:
        token(await browser.log_in())
        wecom.end_token() if errcode == 42001 else setattr(wecom, "token", "")
        token(await browser.log_in())
        assert wecom.count("gettoken") == 2

    async def test_once_and_not_again(self, browser: Browser, wecom: WeComServer) -> None:
        for _ in range(2):
            wecom.then("getuserinfo", {"errcode": 42001, "errmsg": "access_token expired"})
        message = refusal(await browser.log_in())
        assert message == "获取用户信息失败:access_token expired"
        assert (wecom.count("gettoken"), wecom.count("getuserinfo")) == (2, 2)

    async def test_all_who_meet_an_ended_one_share_the_new(
        self, clock: Clock, wecom: WeComServer
    ) -> None:
        async with provider(wecom, clock) as opened:
            await opened.identify(wecom.code(), "")
            wecom.end_token()
            await asyncio.gather(*(opened.identify(wecom.code(), "") for _ in range(10)))
        assert wecom.count("gettoken") == 2


class TestFailures:
    async def test_what_the_provider_says_is_shown(
        self, browser: Browser, wecom: WeComServer
    ) -> None:
        back = await browser.authorize()
        message = refusal(await browser.come_back(code="used", state=back["state"]))
        assert message.startswith("获取用户信息失败:invalid code, hint: [17")

    async def test_a_user_outside_the_apps_range(
        self, browser: Browser, wecom: WeComServer
    ) -> None:
        wecom.then("getuserinfo", {"errcode": 60011, "errmsg": "no privilege to access/modify"})
        assert refusal(await browser.log_in()) == "获取用户信息失败:no privilege to access/modify"

    @pytest.mark.parametrize(
        ("call", "body", "status"),
        [
            (call, "<html>", status)
            for call in ("gettoken", "getuserinfo")
            for status in (301, 404, 500, 503)
        ],
    )
    async def test_it_is_down(
        self, browser: Browser, wecom: WeComServer, call: str, body: str, status: int
    ) -> None:
        wecom.then(call, body, status)
        message = refusal(await browser.log_in())
        assert message.startswith("企业微信暂时无法访问,请稍后重试。 WeCom cannot be reached")
        token(await browser.log_in())

    @pytest.mark.parametrize(
        ("call", "body"),
        [
            *((call, body) for call in ("gettoken", "getuserinfo") for body in (
                "", "garbage", "[]", "null", '"ok"', "{}", "{", "[" * 100_000, "\x00",
                '{"errcode": null}', '{"errcode": "0"}', '{"errcode": 0}',
            )),
            ("gettoken", {"errcode": 0, "access_token": "", "expires_in": 7200}),
            ("gettoken", {"errcode": 0, "access_token": 7, "expires_in": 7200}),
            ("gettoken", {"errcode": 0, "access_token": "t", "expires_in": "soon"}),
            ("getuserinfo", {"errcode": 0, "userid": 7}),
            ("getuserinfo", {"errcode": 0, "userid": "", "openid": ""}),
            ("getuserinfo", {"errcode": 0, "userid": "u" * 65}),
            ("getuserinfo", {"errcode": 0, "userid": "a\nb"}),
            ("getuserinfo", {"errcode": 0, "openid": ["o"]}),
        ],
    )  # fmt: skip
    async def test_it_says_what_nobody_understands(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer, call: str, body: Any
    ) -> None:
        wecom.then(call, body)
        message = refusal(await browser.log_in())
        assert message.startswith("企业微信的应答无法识别,请稍后重试。 WeCom's answer")
        assert await gateway.execute(select(USERS)) == []
        token(await browser.log_in())

    async def test_it_cannot_be_reached(self, start: Start, wecom: WeComServer) -> None:
        settings = wecom.settings | {"ent_wechat_api_url": "http://127.0.0.1:9"}
        async with start(**settings, h5_address=H5) as gateway:
            assert "暂时无法访问" in refusal(await Browser(gateway, wecom).log_in())

    @pytest.mark.parametrize("call", ["gettoken", "getuserinfo"])
    async def test_it_is_slow(self, clock: Clock, wecom: WeComServer, call: str) -> None:
        async with provider(wecom, clock, timeout=0.2) as opened:
            if call == "getuserinfo":
                await opened.identify(wecom.code(), "")
            wecom.pause = asyncio.Event()
            with pytest.raises(LoginRefused, match="暂时无法访问"):
                await opened.identify(wecom.code(), "")

    @pytest.mark.parametrize(
        ("settings", "errcode"),
        [({"ent_wechat_corpid": "ww-other"}, 40013), ({"ent_wechat_appsecret": "old"}, 40001)],
    )
    async def test_it_is_set_up_wrongly(
        self, start: Start, wecom: WeComServer, settings: dict[str, str], errcode: int
    ) -> None:
        async with start(**wecom.settings | settings, h5_address=H5) as gateway:
            browser = Browser(gateway, wecom)
            state = (await browser.open()).headers["Location"].partition("&state=")[2][:112]
            message = refusal(await browser.come_back(code="any", state=state))
            assert message.startswith(f"企业微信登录配置有误({errcode}),请联系管理员。")
            assert "administrator" in message


class TestSecrets:
    async def test_hole_5_no_secret_is_logged_or_shown(
        self, browser: Browser, wecom: WeComServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The provider wants them in addresses, and may even quote them."""
        caplog.set_level(logging.DEBUG)
        answers = [await browser.open(), await browser.log_in()]
        access_token = wecom.token
        quoted = {"errcode": 60020, "errmsg": f"not allow\n{access_token} {'x' * 500}"}
        wecom.then("getuserinfo", quoted)
        answers.append(await browser.log_in())
        wecom.end_token()
        wecom.then("gettoken", quoted | {"errmsg": f"not allow\n{wecom.secret}"})
        answers.append(await browser.log_in())
        wecom.then("getuserinfo", "", 500)
        answers.append(await browser.log_in())
        shown = [str(answer.headers) for answer in answers]
        ours = [record for record in caplog.records if record.name != "uvicorn.access"]  # WeCom's
        records = [record.getMessage() + str(record.exc_info) for record in ours]
        assert sum("60020 not allow ***" in record for record in records) == 2
        for text in [*shown, *records]:
            assert wecom.secret not in text
            assert access_token not in text
        assert max(len(refusal(answer)) for answer in answers[2:]) < 250

    def test_the_app_is_shown_without_its_secret(self, wecom: WeComServer) -> None:
        app = WeComApp("corp", "agent", wecom.secret, "https://l", "https://a", "https://c")
        assert wecom.secret not in repr(app)


class TestTurnedAway:
    async def test_hole_3_a_disabled_user_ends_on_the_401_page(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        """The H5 sends a browser whose token is refused to the login, which sends it away."""
        assert await browser.follow(f"{OURS}/sso?client=1") == f"{H5}/home"
        steps = len(browser.visited)
        await gateway.update_user("zhangsan", enable=False)
        end = await browser.follow(browser.visited[-1])
        assert end.startswith(
            f"{H5}/401?message=%E8%AF%A5%E7%94%A8%E6%88%B7%E5%B7%B2%E5%81%9C%E7%94%A8"
        )
        assert len(browser.visited) - steps == 5  # home, our login, WeCom, back with us, 401

    async def test_hole_3_a_disabled_client_does_not_even_leave(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        assert await browser.follow(f"{OURS}/sso?client=1") == f"{H5}/home"
        calls, steps = len(wecom.calls), len(browser.visited)
        await gateway.disable("1")
        end = await browser.follow(browser.visited[-1])
        assert end.startswith(f"{H5}/401?message=")
        assert "已停用" in refusal(await browser.open())
        assert len(browser.visited) - steps == 3
        assert len(wecom.calls) == calls

    async def test_disabled_while_the_browser_was_away(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        back = await browser.authorize()
        await gateway.disable("1")
        message = refusal(await browser.come_back(**back))
        assert "已停用" in message
        assert "disabled" in message
        assert await gateway.execute(select(SESSIONS)) == []

    async def test_a_good_login_is_four_steps(self, browser: Browser) -> None:
        assert await browser.follow(f"{OURS}/sso?client=1") == f"{H5}/home"
        assert len(browser.visited) == 4

    async def test_enabled_again_they_come_in(self, gateway: Gateway, browser: Browser) -> None:
        token(await browser.log_in())
        await gateway.update_user("zhangsan", enable=False)
        assert "已停用" in refusal(await browser.log_in())
        await gateway.update_user("zhangsan", enable=True)
        token(await browser.log_in())

    async def test_revoked_they_log_in_anew(self, gateway: Gateway, browser: Browser) -> None:
        before = token(await browser.log_in())
        gateway.clock.now += 10
        await gateway.update_user("zhangsan", tokens_not_before=gateway.clock.now)
        assert (await gateway.introspect(before))["active"] is False
        assert (await gateway.introspect(token(await browser.log_in())))["active"] is True

    async def test_hole_2_a_user_id_is_one_of_this_client_only(
        self, gateway: Gateway, browser: Browser, client_id: str
    ) -> None:
        """A host app's user of the same name is somebody else."""
        await gateway.introspect(gateway.mint(client_id, "zhangsan"))
        await gateway.execute(update(USERS).values(enable=False))
        token(await browser.log_in())

    async def test_guessing_codes_is_limited(self, browser: Browser, wecom: WeComServer) -> None:
        tries = 0
        while True:
            state = (await browser.authorize())["state"]
            refusal(await browser.come_back(code="guess", state=state))
            tries += 1
            if (await browser.open()).status_code == 429:
                break
        assert tries == 20
        assert wecom.count("getuserinfo") == tries
        answer = await browser.come_back(code=wecom.code(), state=state)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0

    async def test_failures_of_the_provider_are_nobodys_guess(
        self, browser: Browser, wecom: WeComServer
    ) -> None:
        for _ in range(30):
            wecom.then("getuserinfo", "", 500)
            assert "暂时无法访问" in refusal(await browser.log_in())
        token(await browser.log_in())


class TestWrittenDown:
    async def refusals(self, gateway: Gateway) -> list[tuple[str, str, str]]:
        await gateway.app.state.context.audit.flush()
        rows = await gateway.execute(select(AUDIT).where(AUDIT.c.outcome == "refused"))
        return [(row.action, row.target, row.detail["reason"]) for row in rows]

    async def test_a_refused_login_is_in_the_audit_log(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        back = await browser.authorize()
        await browser.come_back(code="used", state=back["state"])
        await browser.come_back(**back)
        await browser.come_back(code="any", state="1")
        wecom.then("getuserinfo", "", 500)
        await browser.log_in()
        assert set(await self.refusals(gateway)) == {
            ("sso", "client 1", "code"),
            ("sso", "", "replay"),
            ("sso", "", "state"),
            ("sso", "client 1", "provider"),
        }

    async def test_a_good_login_and_an_empty_hand_are_not(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        token(await browser.log_in())
        await browser.open(client="0")
        assert await self.refusals(gateway) == []

    async def test_a_client_that_nobody_has_leaves_no_trace_of_its_own(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        for client in ("7", "c2l-pasted-by-mistake", "//evil.test"):
            await browser.open(client=client)
        assert set(await self.refusals(gateway)) == {("sso", "", "client")}


class TestTargets:
    """Redirects go to configured addresses, whatever a request says."""

    HOSTILE = {  # noqa: RUF012  # a constant
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Server": "evil.test",
        "Forwarded": "host=evil.test;proto=https",
        "X-Original-URL": "https://evil.test",
        "Origin": "https://evil.test",
        "Referer": "https://evil.test/",
    }
    PARAMETERS = dict.fromkeys(
        (
            "next",
            "redirect",
            "redirect_uri",
            "redirect_url",
            "return_to",
            "url",
            "H5_ADDRESS",
            "token",
        ),
        "https://evil.test/",
    )

    async def test_leaving(self, browser: Browser, wecom: WeComServer) -> None:
        browser.headers |= self.HOSTILE
        location = (await browser.open(**self.PARAMETERS)).headers["Location"]
        assert location.startswith(f"{wecom.url}/connect/oauth2/authorize?appid={wecom.corp_id}&")
        assert "&redirect_uri=https%3A//chat.example.com/api/ent-wechat-sso&" in location
        assert "evil" not in location

    async def test_coming_back(self, browser: Browser) -> None:
        browser.headers |= self.HOSTILE
        back = await browser.authorize()
        good = await browser.come_back(**back, **self.PARAMETERS)
        assert "evil" not in good.headers["Location"]
        token(good)
        bad = await browser.come_back(**back, **self.PARAMETERS)
        assert "evil" not in bad.headers["Location"]
        refusal(bad)

    @pytest.mark.parametrize(
        "text", ["//evil.test", "\r\nLocation: https://evil.test", "@evil.test"]
    )
    async def test_what_the_provider_says_leads_nowhere(
        self, browser: Browser, wecom: WeComServer, text: str
    ) -> None:
        wecom.then("getuserinfo", {"errcode": 1, "errmsg": text})
        answer = await browser.log_in()
        refusal(answer)
        assert answer.headers.get_list("Location") == [answer.headers["Location"]]
