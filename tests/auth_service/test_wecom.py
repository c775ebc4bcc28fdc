"""The WeCom login against a server that speaks the provider's protocol, redirects included."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from auth_service.models import SESSIONS, SSO_STATES
from tests.auth_service.conftest import Gateway, Start
from tests.auth_service.wecom_login import H5, Browser, caller, refusal, token
from tests.fakes.wecom import STRANGER, WeComServer, wecom_server


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


class TestLeaving:
    async def test_the_address_byte_for_byte(self, browser: Browser, wecom: WeComServer) -> None:
        answer = await browser.open()
        assert answer.status_code == 307
        [state] = re.findall(r"&state=([^&]*)&", answer.headers["Location"])
        assert answer.headers["Location"] == (
            f"{wecom.url}/connect/oauth2/authorize?appid={wecom.corp_id}"
            "&redirect_uri=https%3A//chat.example.com/api/ent-wechat-sso&response_type=code"
            f"&scope=snsapi_privateinfo&state={state}&agentid={wecom.agent_id}#wechat_redirect"
        )
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"

    async def test_the_provider_is_the_real_one_by_default(self, start: Start) -> None:
        names = ("corpid", "agentid", "appsecret")
        async with start(**{f"ent_wechat_{name}": "x" for name in names}) as gateway:
            answer = await gateway.http.get("/sso", params={"client": "1"})
            assert answer.headers["Location"].startswith(
                "https://open.weixin.qq.com/connect/oauth2/authorize?appid=x"
                "&redirect_uri=http%3A//127.0.0.1%3A7861/ent-wechat-sso&"
            )

    async def test_hole_9_the_state_is_signed_and_says_nothing(self, browser: Browser) -> None:
        """It was the client id."""
        states = {(await browser.authorize())["state"] for _ in range(3)}
        assert len(states) == 3
        for state in states:
            assert re.fullmatch(r"[0-9a-z]{48,128}", state)

    async def test_the_browser_is_marked(self, browser: Browser) -> None:
        cookie = (await browser.open()).headers["Set-Cookie"]
        assert re.fullmatch(
            r"chat2llm_sso=[0-9a-f]{32}; HttpOnly; Max-Age=600; Path=/; SameSite=lax", cookie
        )

    async def test_the_mark_is_secure_behind_tls(self, browser: Browser) -> None:
        browser.headers["X-Forwarded-Proto"] = "https"
        assert (await browser.open()).headers["Set-Cookie"].endswith("; SameSite=lax; Secure")

    @pytest.mark.parametrize("planted", ["", "short", "x" * 32, "0" * 33])
    async def test_a_mark_that_is_not_ours_is_replaced(
        self, browser: Browser, planted: str
    ) -> None:
        browser.cookies["chat2llm_sso"] = planted
        token(await browser.log_in())
        assert browser.cookies["chat2llm_sso"] != planted

    @pytest.mark.parametrize("missing", ["corpid", "agentid", "appsecret"])
    async def test_not_configured(self, start: Start, wecom: WeComServer, missing: str) -> None:
        settings = wecom.settings | {f"ent_wechat_{missing}": ""}
        async with start(**settings, h5_address=H5) as gateway:
            message = refusal(await Browser(gateway, wecom).open())
            assert "企业微信登录未配置" in message
            assert "administrator" in message
        assert wecom.calls == []


class TestComingBack:
    async def test_a_member_logs_in(self, gateway: Gateway, browser: Browser) -> None:
        answer = await browser.log_in()
        assert await caller(gateway, token(answer)) == ("1", "zhangsan", "zhangsan")
        assert answer.headers["Cache-Control"] == "no-store"
        [(method,)] = await gateway.execute(select(SESSIONS.c.method))
        assert method == "wecom"

    async def test_bug_17_someone_else_logs_in_by_open_id(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        wecom.visitor = dict(STRANGER)
        name = STRANGER["openid"]
        assert await caller(gateway, token(await browser.log_in())) == ("1", name, name)

    async def test_a_long_name_is_cut_for_the_eye_only(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        wecom.visitor = {"userid": "n" * 64}
        assert await caller(gateway, token(await browser.log_in())) == ("1", "n" * 64, "n" * 50)

    async def test_logging_in_again_is_the_same_user(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        first, second = token(await browser.log_in()), token(await browser.log_in())
        assert first != second
        assert await caller(gateway, first) == await caller(gateway, second)

    async def test_two_tabs_at_once(self, gateway: Gateway, browser: Browser) -> None:
        tabs = [await browser.authorize(), await browser.authorize()]
        for tab in tabs:
            token(await browser.come_back(**tab))

    async def test_another_copy_of_the_service_takes_the_browser_back(
        self, gateway: Gateway, browser: Browser, start: Start, wecom: WeComServer
    ) -> None:
        back = await browser.authorize()
        async with start(**wecom.settings, h5_address=H5) as other:
            elsewhere = Browser(other, wecom)
            elsewhere.cookies = browser.cookies
            token(await elsewhere.come_back(**back))
        assert "已被使用" in refusal(await browser.come_back(**back))

    @pytest.mark.parametrize("missing", ["code", "state"])
    async def test_who_declines_comes_back_without_a_code(
        self, browser: Browser, missing: str
    ) -> None:
        back = await browser.authorize()
        del back[missing]
        assert refusal(await browser.come_back(**back)) == "参数错误"

    @pytest.mark.parametrize("code", ["", "c" * 513])
    async def test_an_empty_code(self, browser: Browser, code: str) -> None:
        back = await browser.authorize()
        assert refusal(await browser.come_back(code=code, state=back["state"])) == "参数错误"


class TestState:
    async def test_hole_9_a_code_without_a_state_of_ours(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        await browser.open()
        for state in ("1", "0" * 112, "x" * 112, "g" * 5000, "状态", "../..", "1\r\nX: y"):
            message = refusal(await browser.come_back(code=wecom.code(), state=state))
            assert message.startswith("登录请求无效、已被使用或来自其他浏览器,请重新进入。")
            assert "start again" in message
        assert wecom.calls == []
        assert await gateway.execute(select(SSO_STATES)) == []

    async def test_any_digit_of_it_counts(self, browser: Browser, wecom: WeComServer) -> None:
        back = await browser.authorize()
        for place in range(len(back["state"])):
            digit = "1" if back["state"][place] == "0" else "0"
            forged = back["state"][:place] + digit + back["state"][place + 1 :]
            assert "请求无效" in refusal(await browser.come_back(code=back["code"], state=forged))
        token(await browser.come_back(**back))

    async def test_in_capitals_it_is_another(self, browser: Browser) -> None:
        back = await browser.authorize()
        upper = back["state"].upper()
        assert "请求无效" in refusal(await browser.come_back(code=back["code"], state=upper))

    async def test_ten_minutes(self, gateway: Gateway, browser: Browser) -> None:
        gateway.clock.now = 1_790_000_000
        in_time, late = await browser.authorize(), await browser.authorize()
        gateway.clock.now += 599.5
        token(await browser.come_back(**in_time))
        gateway.clock.now += 0.5
        message = refusal(await browser.come_back(**late))
        assert message == "登录超时,请重新进入。 The login took too long, please start again."

    async def test_once(self, browser: Browser, wecom: WeComServer) -> None:
        back = await browser.authorize()
        token(await browser.come_back(**back))
        again = await browser.come_back(code=wecom.code(), state=back["state"])
        assert "已被使用" in refusal(again)

    async def test_once_among_many_at_the_same_time(
        self, gateway: Gateway, browser: Browser
    ) -> None:
        back = await browser.authorize()
        answers = await asyncio.gather(*(browser.come_back(**back) for _ in range(5)))
        logged_in = [one for one in answers if "/sso?token=" in one.headers["Location"]]
        assert len(logged_in) == 1

    async def test_a_failed_login_has_used_it_too(
        self, browser: Browser, wecom: WeComServer
    ) -> None:
        back = await browser.authorize()
        wecom.then("getuserinfo", "", 500)
        assert "暂时无法访问" in refusal(await browser.come_back(**back))
        assert "已被使用" in refusal(await browser.come_back(**back))

    async def test_hole_9_the_attackers_login_does_not_open_in_the_victims_browser(
        self, gateway: Gateway, browser: Browser, wecom: WeComServer
    ) -> None:
        attack = await browser.authorize()
        victim = Browser(gateway, wecom)
        assert "来自其他浏览器" in refusal(await victim.come_back(**attack))
        await victim.open()  # has a mark of its own by now
        assert "来自其他浏览器" in refusal(await victim.come_back(**attack))
        assert await gateway.execute(select(SESSIONS)) == []
        token(await browser.come_back(**attack))  # nothing was used up by those who may not

    async def test_another_installation_has_another_key(
        self, browser: Browser, start: Start, wecom: WeComServer
    ) -> None:
        back = await browser.authorize()
        async with start(**wecom.settings, h5_address=H5, master_key="k" * 32) as other:
            elsewhere = Browser(other, wecom)
            elsewhere.cookies = browser.cookies
            assert "请求无效" in refusal(await elsewhere.come_back(**back))

    async def test_what_was_used_is_forgotten_when_it_ends(
        self, gateway: Gateway, browser: Browser, start: Start
    ) -> None:
        token(await browser.log_in())
        assert len(await gateway.execute(select(SSO_STATES))) == 1
        gateway.clock.now += 601
        async with start():  # tidies up when it starts, and every hour
            for _ in range(200):
                if not await gateway.execute(select(SSO_STATES)):
                    break
                await asyncio.sleep(0.01)
        assert await gateway.execute(select(SSO_STATES)) == []
