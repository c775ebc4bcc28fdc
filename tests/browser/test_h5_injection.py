"""An H5 that shows what users wrote as HTML, as the published one does (contract 5, hole 10)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.stack import Stack

pytestmark = pytest.mark.browser

_INDEX = '<!doctype html><div id="app"></div><script type="module" src="/assets/app.js"></script>'
_SCRIPT = """
const show = document.getElementById("app");
const written = JSON.parse(decodeURIComponent(location.hash.slice(1)));
show.innerHTML = written.join("");
document.title = "shown";
document.querySelectorAll("#app a").forEach((link) => link.click());
"""
_WRITTEN = (
    "<img src=x onerror=\"parent.top.hit='handler'\">",
    "<iframe srcdoc=\"<script>parent.hit='frame'</script>\"></iframe>",
    "<a href=\"javascript:window.hit='link'\">x</a>",
    "<svg><animate onbegin=\"window.hit='svg'\" attributeName=x dur=1s></svg>",
    "<object data=\"data:text/html,<script>parent.hit='object'</script>\"></object>",
)


async def test_hole_10_what_a_user_wrote_runs_nowhere(
    start_stack: Callable[..., Stack], page: Page, tmp_path: Path
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(_INDEX)
    (tmp_path / "assets" / "app.js").write_text(_SCRIPT)
    stack = start_stack(H5_DIST=str(tmp_path))
    for written in _WRITTEN:
        await page.goto("about:blank")
        hash_part = await page.evaluate(
            "text => encodeURIComponent(JSON.stringify([text]))", written
        )
        await page.goto(f"{stack.url}/chat/1#{hash_part}")
        await page.wait_for_function("document.title === 'shown'")
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("window.hit") is None, written
