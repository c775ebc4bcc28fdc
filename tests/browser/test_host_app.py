"""The Node example's host app in a real browser, followed as the guide describes it."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.host_apps.node_host_app import HostApp, running_host_app
from tests.stack import Stack

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostApp]:
    with running_host_app(stack, tmp_path_factory.mktemp("host-app")) as running:
        yield running


async def test_an_employee_chats_in_the_frame_and_by_the_link(
    stack: Stack, app: HostApp, page: Page
) -> None:
    await page.goto(app.url)
    await page.get_by_role("button", name="张三").click()
    frame = page.frame_locator("#chat iframe").first
    await expect(frame.locator("body")).to_contain_text("Chat2LLM")
    chat = page.frames[1]
    await chat.wait_for_url(f"{stack.url}/welcome")
    told = await chat.evaluate(
        """async () => {
            const token = sessionStorage.getItem("Api-Token");
            const answer = await fetch("/api/user/info", { headers: { "Api-Token": token } });
            return (await answer.json()).data.username;
        }"""
    )
    assert told == "张三"
    # The H5's chat calls send no header: the cookie goes along in the frame.
    streamed = await chat.evaluate(
        """async () => {
            const session_id = "5".repeat(32);
            const body = JSON.stringify({ query: "你好", stream: true, session_id });
            const headers = { "Content-Type": "application/json" };
            const answer = await fetch("/api/chat/chat", { method: "POST", headers, body });
            return `${answer.status} ${(await answer.text()).includes("chat_history_id")}`;
        }"""
    )
    assert streamed == "200 true"

    await page.get_by_role("link").click()
    await page.wait_for_url(f"{stack.url}/welcome")
    await page.go_back()
    await expect(page.get_by_role("heading")).to_have_text("张三")
    await page.go_forward()
    await page.wait_for_url(f"{stack.url}/welcome")  # the address with the token is gone
