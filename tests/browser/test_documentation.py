"""The documentation page: one call per service from it, with an identity, offline."""

import pytest
from playwright.async_api import Page, expect

from tests.stack import Stack

pytestmark = pytest.mark.browser

CALLS = [
    ("gateway", "get", "/readyz"),
    ("auth_service", "get", "/user/info"),
    ("session_service", "get", "/session/list"),
    ("kb_service", "get", "/knowledge_base/list_knowledge_bases_v2"),
    ("chat_service", "post", "/llm_model/list_config_models"),
]


async def try_it(page: Page, method: str, path: str) -> str:
    """The status that the page shows after "Try it out" and "Execute"."""
    block = page.locator(f".opblock-{method}").filter(
        has=page.locator(f'.opblock-summary-path[data-path="{path}"]')
    )
    await block.locator(".opblock-summary-control").click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_role("button", name="Execute").click()
    shown = block.locator(".live-responses-table tr.response .response-col_status")
    return (await shown.inner_text()).split()[0]


@pytest.mark.parametrize("everything", [False, True])
async def test_one_call_per_service_after_a_sign_in(
    stack: Stack, page: Page, everything: bool
) -> None:
    await page.goto(stack.demo_link)
    await page.wait_for_url("**/welcome")
    if everything:  # on one page, which takes seconds to draw
        await page.goto(f"{stack.url}/docs")
    for service, method, path in CALLS:
        if not everything:
            await page.goto(f"{stack.url}/docs?service={service}")
        assert await try_it(page, method, path) == "200", path


async def test_without_an_identity_the_call_is_refused(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/docs?service=session_service")
    assert await try_it(page, "get", "/session/list") == "401"


async def test_an_api_key_is_given_with_authorize(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/")
    await page.get_by_role("link", name="kb_service").click()
    await page.get_by_role("button", name="Authorize").click()
    key = page.locator(".auth-container").filter(has_text="Bearer")
    await key.get_by_role("textbox").fill(stack.admin_key)
    await key.get_by_role("button", name="Apply credentials").click()
    await key.get_by_role("button", name="Close").click()
    path = "/knowledge_base/list_knowledge_bases"
    assert await try_it(page, "get", path) == "200"
    block = page.locator(".opblock-get").filter(
        has=page.locator(f'.opblock-summary-path[data-path="{path}"]')
    )
    await expect(block.locator(".curl-command")).to_contain_text("Authorization: Bearer c2l-")


async def test_the_tabs_name_the_five_services(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/docs")
    tabs = await page.locator(".tabs a").all_inner_texts()
    assert [tab for tab in tabs if "_" in tab or tab == "gateway"] == [name for name, *_ in CALLS]
