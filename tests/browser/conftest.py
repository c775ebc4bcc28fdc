"""A real browser on the real five processes; nothing may be fetched from anywhere else."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A tab of a fresh browser. Fails on script errors and on requests to other hosts."""
    problems: list[str] = []

    def look_at(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname != "127.0.0.1":
            problems.append(f"asked elsewhere: {request.url}")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        context = await browser.new_context()
        context.on("request", look_at)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        tab = await context.new_page()
        tab.set_default_timeout(15_000)
        yield tab
        await browser.close()
    assert problems == []
