"""Web pages and sitemaps as sources, through the service's own routes, from real sites."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import OWNER, Kb, connected
from tests.kb_service.websites import Website, page, website

SOURCES = "/admin/knowledge-bases/kb1/sources"


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with website() as served_site:
        yield served_site


class Sources:
    """The sources of kb1, which client 7 owns."""

    def __init__(self, kb: Kb) -> None:
        self.kb = kb

    async def add(self, kind: str, url: str, **options: Any) -> httpx.Response:
        return await self.kb.post(SOURCES, {"kind": kind, "url": url} | options, OWNER)

    async def added(self, kind: str, url: str, **options: Any) -> dict[str, Any]:
        """Added, and run once to its end."""
        answer = await self.add(kind, url, **options)
        assert answer.status_code == 201, answer.text
        return await self.ended(answer.json()["id"])

    async def run(self, source_id: int) -> dict[str, Any]:
        before = await self.get(source_id)
        answer = await self.kb.post(f"{SOURCES}/{source_id}/run", None, OWNER)
        assert answer.status_code == 202, answer.text
        return await self.ended(source_id, before["last_run"])

    async def get(self, source_id: int) -> dict[str, Any]:
        source: dict[str, Any] = (await self.kb.get(f"{SOURCES}/{source_id}", OWNER)).json()
        return source

    async def ended(self, source_id: int, before: str | None = None) -> dict[str, Any]:
        """When its run is over, and with it the jobs of its files."""
        async with asyncio.timeout(30):
            while (source := await self.get(source_id))["last_run"] == before:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.02)
            while await self._has_jobs():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)
        return source

    async def pages(self, source_id: int) -> dict[str, dict[str, Any]]:
        answer = (await self.kb.get(f"{SOURCES}/{source_id}/pages", OWNER)).json()
        return {item["url"]: item for item in answer["items"]}

    async def _has_jobs(self) -> bool:
        states = ("queued", "running")
        answers = [await self.kb.get("/admin/jobs", OWNER, state=state) for state in states]
        return any(answer.json()["total"] for answer in answers)


@asynccontextmanager
async def opened(settings: KbSettings) -> AsyncIterator[Sources]:
    async with connected(settings) as kb:
        if "kb1" not in (await kb.get("/knowledge_base/list_knowledge_bases")).json()["data"]:
            await kb.create(who=OWNER)
        yield Sources(kb)


@pytest.fixture
async def sources(
    make_settings: Callable[..., KbSettings], site: Website
) -> AsyncIterator[Sources]:
    async with opened(make_settings(crawl_allowed_hosts=site.host, crawl_delay=0)) as made:
        yield made


def counts(source: dict[str, Any]) -> dict[str, int]:
    result = source["last_result"]
    assert result["fault"] == "", result
    return {key: value for key, value in result.items() if isinstance(value, int) and value}


async def test_a_page_is_searched_and_named_by_its_address(sources: Sources, site: Website) -> None:
    site.put("/leave.html", page("休假制度 &amp; FAQ", "年假每年十五天。"))
    source = await sources.added("page", f"{site.url}/leave.html")
    assert counts(source) == {"pages": 1, "changed": 1}
    assert (source["state"], source["next_run"]) == ("idle", None)
    (found,) = await sources.kb.search("年假多少天")
    assert found["metadata"]["url"] == f"{site.url}/leave.html"
    assert found["metadata"]["page_title"] == "休假制度 & FAQ"
    assert site.agents == {"Chat2LLM/1.0 (knowledge base import)"}
