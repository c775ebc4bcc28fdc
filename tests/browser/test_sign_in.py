"""From the demo link to an answer on our small page."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.front import nginx_in_front
from tests.stack import Stack
from tests.tokens import mint_token

pytestmark = pytest.mark.browser


async def ask(page: Page, question: str) -> None:
    await page.fill("#question", question)
    await page.click("#send")
    await expect(page.locator("#send")).to_be_enabled()


async def test_the_demo_link_leads_to_an_answer(stack: Stack, page: Page) -> None:
    await page.goto(stack.demo_link)
    await page.wait_for_url("**/welcome")
    await expect(page.locator("#who h1")).to_contain_text("demo-")
    assert await page.evaluate("history.length") <= 2  # the address with the token is not in it
    token = await page.evaluate('sessionStorage.getItem("Api-Token")')
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    assert cookies["chat2llm_session"]["value"] == token
    assert cookies["chat2llm_session"]["httpOnly"]
    await ask(page, "你好")
    await expect(page.locator("#answer")).not_to_be_empty()
    await expect(page.locator("#answer")).not_to_have_class(re.compile("error"))


async def test_an_answer_from_the_sample_cites_files_that_open(stack: Stack, page: Page) -> None:
    await page.goto(stack.demo_link)
    await page.wait_for_url("**/welcome")
    sample = page.locator("#source option:not([value=''])").first
    await sample.wait_for(state="attached")
    await page.select_option("#source", await sample.get_attribute("value"))
    await expect_citations(page, "怎样把文件上传到知识库？")
    link = page.locator("#citations a").first
    async with page.expect_download() as download:
        await link.click()  # a plain GET: only the cookie goes with it
    assert (await download.value).suggested_filename == await link.inner_text()


async def expect_citations(page: Page, question: str) -> None:
    """The sample is indexed in the background, so the first question may come too early."""
    for _ in range(20):
        await ask(page, question)
        if await page.locator("#citations a").count():
            return
        await page.wait_for_timeout(500)
    pytest.fail("no citation")


async def test_a_sign_in_through_nginx_ends_in_its_h5(
    start_stack: Callable[..., Stack], page: Page, tmp_path: Path
) -> None:
    h5 = tmp_path / "h5"
    h5.mkdir()
    (h5 / "index.html").write_text("<!doctype html><title>An H5</title>")
    stack = start_stack(H5_DIST=str(h5))
    with nginx_in_front(stack.url, tmp_path / "nginx", h5=h5) as url:
        await page.goto(stack.demo_link.replace(stack.url, url))
        await page.wait_for_url("**/home")
        assert await page.title() == "An H5"
        assert await page.evaluate('sessionStorage.getItem("Api-Token")')


async def test_a_second_tab_goes_on_by_cookie(stack: Stack, page: Page) -> None:
    await page.goto(stack.demo_link)
    await page.wait_for_url("**/welcome")
    name = await page.locator("#who strong").inner_text()
    tab = await page.context.new_page()
    await tab.goto(f"{stack.url}/welcome")
    assert await tab.evaluate("sessionStorage.length") == 0
    await expect(tab.locator("#who strong")).to_have_text(name)
    await ask(tab, "你好")
    await expect(tab.locator("#answer")).not_to_be_empty()


async def test_not_signed_in_says_how(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/welcome")
    await expect(page.locator("#login")).to_be_visible()
    await expect(page.locator("#talk")).to_be_hidden()


async def test_a_wrong_secret_shows_why(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/api/sso?client=0&secret=wrong")
    await expect(page.locator("#message")).to_have_text("单点失败, 请提供正确口令")
    await page.goto(f"{stack.url}/401?message=<img src=x onerror=alert(1)>")
    await expect(page.locator("#message")).to_have_text("<img src=x onerror=alert(1)>")


async def test_another_users_link_asks_before_it_switches(stack: Stack, page: Page) -> None:
    shop = stack.add_client("shop")
    token = mint_token(
        client_id=shop.id, public_key=shop.public_key, user_id="u1", username="<b>小明"
    )
    link = str(httpx.URL(f"{stack.url}/sso", params={"token": token}))
    await page.goto(stack.demo_link)
    await page.wait_for_url("**/welcome")
    first = await page.locator("#who strong").inner_text()
    await page.goto(link)
    await expect(page.locator("main")).to_contain_text(first)
    await expect(page.locator("main")).to_contain_text("<b>小明")
    assert page.url == f"{stack.url}/sso"  # the token has left the address already
    await page.get_by_role("button").click()
    await page.wait_for_url("**/welcome")
    await expect(page.locator("#who strong")).to_have_text("<b>小明")
