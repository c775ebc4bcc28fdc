"""A host page of another origin embeds the chat and keeps its session alive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from tests.gateway.conftest import Start, Suite, start

pytestmark = pytest.mark.browser
__all__ = ["start"]

HOST_PAGE = """<!doctype html><title>Host</title>
<script src="{gateway}/static-gateway/embed.js"></script>
<div id="chat"></div>
<script>
  window.messages = [];
  addEventListener("message", (event) => messages.push({{ ...event.data, from: event.origin }}));
  const getToken = async () => (await fetch("/token")).text();
  Chat2LLM.embed(document.getElementById("chat"), {{ server: "{gateway}", getToken }});
</script>
"""
H5_PAGE = """<!doctype html><title>An H5</title><h1 id="who"></h1><button id="ask">ask</button>
<script type="module" src="/assets/app.js"></script>
"""
H5_SCRIPT = """
const token = () => sessionStorage.getItem("Api-Token");
window.loadedWith = token();
document.getElementById("ask").onclick = async () => {
  const answer = await fetch("/api/user/info", { headers: { "Api-Token": token() } });
  document.getElementById("who").textContent = `${token()} ${answer.status}`;
};
"""


@dataclass
class Host:
    """A host app on an origin of its own; `minted` counts the tokens that its page asked for."""

    url: str = ""
    gateway: str = ""
    tokens: list[str] = field(default_factory=list)
    minted: int = 0

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=HOST_PAGE.format(gateway=self.gateway), content_type="text/html")

    async def token(self, _: web.Request) -> web.Response:
        token = self.tokens[min(self.minted, len(self.tokens) - 1)]
        self.minted += 1
        return web.Response(text=token)


@asynccontextmanager
async def host_app() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_get("/", host.page)
    app.router.add_get("/token", host.token)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield host
    finally:
        await runner.cleanup()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with host_app() as running:
        yield running


@pytest.fixture
async def suite(start: Start, host: Host, tmp_path: Path) -> Suite:
    """A gateway that serves a small H5, for a client whose origin is the host's."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(H5_PAGE, encoding="utf-8")
    (dist / "assets" / "app.js").write_text(H5_SCRIPT, encoding="utf-8")
    suite = await start(h5_dist=dist)
    host.gateway = suite.url
    suite.auth.origins = [host.url]
    for number in (1, 2, 3):
        name, session = f"token{number}", f"c2s-{number}"
        suite.auth.knows(name, session=session, origins=[host.url])
        host.tokens.append(name)
    return suite


async def messages(page: Page) -> list[dict[str, object]]:
    found: list[dict[str, object]] = await page.evaluate("messages")
    return found


async def ask(page: Page, expected: str) -> None:
    """Use the H5 in the visible frame as its user would."""
    chat = page.frame_locator("#chat iframe").first
    await chat.locator("#ask").click()
    await expect(chat.locator("#who")).to_have_text(expected)


async def test_the_host_page_shows_the_chat_and_is_told_until_when(
    suite: Suite, host: Host, page: Page
) -> None:
    await page.goto(host.url)
    await ask(page, "c2s-1 200")
    (message,) = await messages(page)
    now = await page.evaluate("Date.now() / 1000")
    assert message["type"] == "chat2llm:signed-in"
    assert message["from"] == suite.url
    assert isinstance(message["expires_at"], int)
    assert 8 * 3600 - 60 < message["expires_at"] - now <= 8 * 3600
    assert "token" not in page.frames[1].url


async def test_the_session_is_renewed_before_its_end_and_the_h5_goes_on(
    suite: Suite, host: Host, page: Page
) -> None:
    await page.clock.install()
    await page.goto(host.url)
    await ask(page, "c2s-1 200")
    chat = page.frames[1]
    await page.clock.fast_forward("07:56:00")
    await page.wait_for_function("messages.length === 2")
    del suite.auth.people["c2s-1"]  # the old session ends
    await ask(page, "c2s-2 200")
    assert await chat.evaluate("loadedWith") == "c2s-1"  # the page was not loaded again
    await expect(page.locator("iframe")).to_have_count(1)
    cookies = {cookie["name"]: cookie["value"] for cookie in await page.context.cookies()}
    assert cookies["chat2llm_session"] == "c2s-2"
    assert host.minted == 2


async def test_a_page_that_slept_renews_when_it_is_seen_again(
    suite: Suite, host: Host, page: Page
) -> None:
    await page.clock.install()
    await page.goto(host.url)
    await ask(page, "c2s-1 200")
    await page.clock.set_system_time(await page.evaluate("Date.now() + 9 * 3600 * 1000"))
    assert host.minted == 1  # no timer fired
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_function("messages.length === 2")
    await ask(page, "c2s-2 200")


async def test_another_users_session_is_not_replaced_in_the_dark(
    suite: Suite, host: Host, page: Page
) -> None:
    """The hidden frame asks, nobody sees it, and at the session's end the visible one asks."""
    suite.auth.knows("token2", "bob", session="c2s-2", origins=[host.url])
    suite.auth.knows("token3", "bob", session="c2s-3", origins=[host.url])
    suite.auth.knows("c2s-1", session="c2s-1", origins=[host.url])
    await page.clock.install()
    await page.goto(host.url)
    await ask(page, "c2s-1 200")
    await page.clock.fast_forward("07:56:00")
    hidden = page.frame_locator("iframe[hidden]")
    await expect(hidden.locator("main")).to_contain_text("Switch user?")
    await ask(page, "c2s-1 200")
    await page.clock.fast_forward("00:00:16")
    await expect(page.locator("iframe")).to_have_count(1)
    await ask(page, "c2s-1 200")


async def test_our_refusal_page_tells_the_host_which_signs_in_again(
    start: Start, host: Host, page: Page
) -> None:
    suite = await start()
    host.gateway = suite.url
    suite.auth.origins = [host.url]
    host.tokens = ["bad", "token1"]
    suite.auth.knows("token1", session="c2s-1", origins=[host.url])
    await page.clock.install()
    await page.goto(host.url)
    await page.wait_for_function("messages.length === 1")
    assert await messages(page) == [{"type": "chat2llm:signed-out", "from": suite.url}]
    assert host.minted == 1  # not at once: that could go on for ever
    await page.clock.fast_forward("00:01:00")
    await page.frames[1].evaluate("location.reload()")
    await page.wait_for_function("messages.length === 3")
    assert (await messages(page))[2]["type"] == "chat2llm:signed-in"
    await page.frames[1].wait_for_url("**/welcome")


async def test_a_stranger_may_neither_embed_nor_listen(
    suite: Suite, host: Host, page: Page
) -> None:
    suite.auth.origins = ["https://elsewhere.example"]
    for number in (1, 2, 3):
        suite.auth.knows(
            f"token{number}", session=f"c2s-{number}", origins=["https://elsewhere.example"]
        )
    refused = asyncio.get_running_loop().create_future()
    page.on(
        "console",
        lambda message: (
            refused.set_result(message.text)
            if "frame-ancestors" in message.text and not refused.done()
            else None
        ),
    )
    await page.goto(host.url)
    assert "frame-ancestors 'self' https://elsewhere.example" in await refused
    assert await messages(page) == []


async def test_a_landing_without_a_frame_goes_on_even_when_it_is_told_to_refresh(
    suite: Suite, page: Page
) -> None:
    await page.goto(f"{suite.url}/sso?token=token1&refresh=1")
    await page.wait_for_url("**/home")
    assert await page.evaluate("history.length") <= 2
