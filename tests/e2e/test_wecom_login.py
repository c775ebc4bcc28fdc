"""A WeCom login through the real product: cookies, redirects and an end to both."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.fakes.wecom import WeComServer, wecom_server
from tests.stack import Stack

# A product of its own: it need not wait until the shared one is free.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("wecom")]
FRONT = "http://chat.example.com"  # where browsers reach the gateway, as SERVER_ADDRESS says


class Front(httpx.AsyncBaseTransport):
    """The name that the gateway has for browsers."""

    def __init__(self, gateway: str) -> None:
        self._gateway = httpx.URL(gateway)
        self._http = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(
            request.method,
            request.url.copy_with(host=self._gateway.host, port=self._gateway.port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._http.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._http.aclose()


@pytest.fixture
async def wecom() -> AsyncIterator[WeComServer]:
    async with wecom_server() as running:
        yield running


@pytest.fixture
def stack(start_stack: Callable[..., Stack], wecom: WeComServer) -> Stack:
    settings = {name.upper(): value for name, value in wecom.settings.items()}
    return start_stack(**settings | {"SERVER_ADDRESS": f"{FRONT}/api"})


def browser(stack: Stack) -> httpx.AsyncClient:
    """It keeps cookies and follows redirects, and gives up after twenty."""
    return httpx.AsyncClient(
        mounts={FRONT: Front(stack.url)}, follow_redirects=True, max_redirects=20, timeout=60
    )


def refusal(answer: httpx.Response) -> str:
    target = urlsplit(str(answer.url))
    assert (answer.status_code, target.path) == (200, "/401"), (answer.status_code, str(answer.url))
    return parse_qs(target.query)["message"][0]


async def test_a_member_logs_in_chats_and_is_turned_away_when_disabled(
    stack: Stack, wecom: WeComServer
) -> None:
    async with browser(stack) as member:
        landing = await member.get(f"{FRONT}/api/sso", params={"client": "1"})
        assert landing.status_code == 200, landing.text
        steps = [urlsplit(str(step.url)).path for step in (*landing.history, landing)]
        assert steps == ["/api/sso", "/connect/oauth2/authorize", "/api/ent-wechat-sso", "/sso"]
        session = member.cookies["chat2llm_session"]
        user = await member.get(f"{FRONT}/api/user/info", headers={"Api-Token": session})
        assert user.json()["data"]["user_id"] == "zhangsan"
        chat = await member.post(
            f"{FRONT}/api/chat/chat",
            json={"query": "你好", "session_id": "5" * 32},
            headers={"Origin": FRONT},
        )
        assert "chat_history_id" in chat.text

        back = str(landing.history[1].headers["Location"])
        async with browser(stack) as somebody_else:
            assert "来自其他浏览器" in refusal(await somebody_else.get(back))
        assert "已被使用" in refusal(await member.get(back))

        stack.run("auth_service", "user", "disable", "1", "zhangsan")
        ended = await member.get(f"{FRONT}/api/sso", params={"client": "1"})
        assert "该用户已停用" in refusal(ended)
        assert len(ended.history) == 3

        stack.run("auth_service", "client", "disable", "1")
        ended = await member.get(f"{FRONT}/api/sso", params={"client": "1"})
        assert "已停用" in refusal(ended)
        assert len(ended.history) == 1
    assert wecom.secret not in stack.log.read_text()
    assert wecom.token not in stack.log.read_text()
