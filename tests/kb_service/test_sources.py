"""Web pages and sitemaps as sources, through the service's own routes, from real sites."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, OWNER, READER, STRANGER, Kb, connected
from tests.kb_service.documents import pdf_file
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


async def test_only_what_has_changed_is_indexed_again(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"), "text/html", ETag='"1"')
    site.put("/b.html", page("B", "香蕉很好吃。"))
    site.sitemap("/a.html", "/b.html")
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml")
    assert counts(source) == {"pages": 2, "changed": 2}
    jobs = {item["job_id"] for item in (await sources.pages(source["id"])).values()}

    # The same for a reader: a script and an attribute differ.
    site.put("/b.html", "<!-- 2 -->" + page("B", "香蕉很好吃。").replace("<p>", '<p id="2">'))
    assert counts(await sources.run(source["id"])) == {"pages": 2, "unchanged": 2}
    assert {i["job_id"] for i in (await sources.pages(source["id"])).values()} == jobs

    site.put("/b.html", page("B", "樱桃很好吃。"))
    changed = await sources.run(source["id"])
    assert counts(changed) == {"pages": 2, "changed": 1, "unchanged": 1}
    assert [hit["page_content"] for hit in await sources.kb.search("樱桃", top_k=1)] == [
        "樱桃很好吃。"
    ]
    assert await sources.kb.search("香蕉", top_k=1, score_threshold=0.5) == []


async def test_a_page_that_cannot_be_indexed_is_one_job_however_often_it_is_visited(
    sources: Sources, site: Website
) -> None:
    site.put("/app.html", page("", ""), "text/html", ETag='"1"')
    site.put("/a.pdf", b"%PDF-1.4 nothing", "application/pdf")
    site.sitemap("/app.html", "/a.pdf")
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml")
    assert counts(source) == {"pages": 2, "changed": 2}
    assert counts(await sources.run(1)) == {"pages": 2, "unchanged": 2}
    jobs = (await sources.kb.get("/admin/jobs", OWNER)).json()["items"]
    assert [(job["state"], job["attempts"]) for job in jobs] == [("failed", 1)] * 2
    site.put("/app.html", page("", "苹果很好吃。"))
    assert counts(await sources.run(1)) == {"pages": 2, "changed": 1, "unchanged": 1}
    assert len(await sources.kb.search("苹果")) == 1


async def test_what_somebody_removed_comes_back(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"), "text/html", ETag='"1"')
    source = await sources.added("page", f"{site.url}/a.html")
    (name,) = await sources.kb.files()
    body = {"knowledge_base_name": "kb1", "file_names": [name], "delete_content": True}
    await sources.kb.post("/knowledge_base/delete_docs", body)
    assert counts(await sources.run(source["id"])) == {"pages": 1, "changed": 1}
    assert await sources.kb.files() == [name]


async def test_vanished_pages_go_after_some_runs(sources: Sources, site: Website) -> None:
    for name in ("a", "b", "c"):
        site.put(f"/{name}.html", page(name, f"{name} 很好吃。"))
    site.sitemap("/a.html", "/b.html", "/c.html")
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml", remove_after=2)
    site.fail("/b.html", 410)
    site.sitemap("/a.html", "/b.html")  # c is not named any more
    once = await sources.run(source["id"])
    assert counts(once) == {"pages": 2, "unchanged": 1, "missing": 2}
    assert len(await sources.kb.files()) == 3
    twice = await sources.run(source["id"])
    assert counts(twice) == {"pages": 2, "unchanged": 1, "removed": 2}
    assert {reason["url"][-6:] for reason in twice["last_result"]["reasons"]} == {
        "b.html",
        "c.html",
    }
    assert len(await sources.kb.files()) == 1


async def test_a_page_that_comes_back_is_not_counted_as_missing(
    sources: Sources, site: Website
) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    source = await sources.added("page", f"{site.url}/a.html", remove_after=2)
    kept = site.pages["/a.html"]
    for _ in range(2):
        site.fail("/a.html", 404)
        assert counts(await sources.run(source["id"])) == {"pages": 1, "missing": 1}
        site.pages["/a.html"] = kept
        assert counts(await sources.run(source["id"])) == {"pages": 1, "unchanged": 1}


async def test_a_site_in_trouble_loses_nothing(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    site.sitemap("/a.html")
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml", remove_after=1)
    site.fail("/a.html", 500)
    failed = await sources.run(source["id"])
    assert counts(failed) == {"pages": 1, "failed": 1}
    assert "500" in failed["last_result"]["reasons"][0]["reason"]
    entity = '<!DOCTYPE x [<!ENTITY e "e">]><urlset><url><loc>&e;</loc></url></urlset>'
    encoding = '<?xml version="1.0" encoding="none"?><urlset/>'
    for body in ("<urlset/>", "no sitemap", "<a><b></a>", "<urlset><url>", entity, encoding):
        site.put("/sitemap.xml", body)
        assert "sitemap" in (await sources.run(source["id"]))["last_result"]["fault"]
    site.fail("/sitemap.xml", 404)
    assert (await sources.run(source["id"]))["last_result"]["fault"]
    assert len(await sources.kb.files()) == 1


async def test_a_source_that_fails_ten_times_in_a_row_is_given_up(
    sources: Sources, site: Website
) -> None:
    paths = [f"/{number}.html" for number in range(20)]
    for path in paths:
        site.fail(path, 500)
    site.sitemap(*paths)
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml")
    assert "in a row" in source["last_result"]["fault"]
    assert source["last_result"]["failed"] == 10


async def test_sitemaps_of_all_kinds(sources: Sources, site: Website) -> None:
    paths = [f"/{number}.html" for number in range(6)]
    for path in paths:
        site.put(path, page(path, f"这是第 {path} 页。"))
    site.sitemap(*paths[:2], at="/one.xml")
    site.put("/one.xml.gz", gzip.compress(site.pages["/one.xml"][2]), "application/gzip")
    site.put("/two.txt", "\ufeff" + "".join(f"{site.url}{path}\n" for path in paths[2:4]))
    names = "".join(
        f"<sitemap><loc>\n {site.url}{path} </loc></sitemap>"
        for path in ("/one.xml.gz", "/two.txt", "/three.xml")
    )
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    site.put("/index.xml", f"<?xml version='1.0'?><sitemapindex {space}>{names}</sitemapindex>")
    picture = f'<i:image xmlns:i="http://image"><i:loc>{site.url}/x.png</i:loc></i:image>'
    third = f"<url><loc>{site.url}{paths[4]}</loc>{picture}</url>"
    third += "<url><loc>https://elsewhere.example/</loc></url>"
    third += f"<url><loc>{site.url}/{'a' * 2_000}</loc></url>"
    site.put("/three.xml", f"<urlset {space}>{third}</urlset>")
    source = await sources.added("sitemap", f"{site.url}/index.xml")
    assert counts(source) == {"pages": 5, "changed": 5}
    reasons = source["last_result"]["reasons"]
    assert {reason["url"][:20] for reason in reasons} == {"https://elsewhere.ex", site.url[:20]}


async def test_no_more_pages_than_wished(sources: Sources, site: Website) -> None:
    paths = [f"/{number}.html" for number in range(5)]
    for path in paths:
        site.put(path, page(path, f"这是第 {path} 页。"))
    site.sitemap(*paths)
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml", pages_max=2, remove_after=1)
    assert counts(source) == {"pages": 2, "changed": 2}
    site.sitemap(*reversed(paths))  # the first two are still there, only further down
    assert counts(await sources.run(source["id"])) == {"pages": 2, "changed": 2}
    assert len(await sources.kb.files()) == 4


async def test_pages_are_what_their_content_is(sources: Sources, site: Website) -> None:
    site.put("/report", pdf_file(["Annual report"]), "text/html")
    site.put("/page", page("页", "汉字的网页").encode("gbk"), "text/html; charset=gbk")
    site.put("/notes.md", "# 标题\n\n正文在此。", "text/plain")
    site.put("/program", b"\x7fELF\0\0\0", "application/octet-stream")
    site.put("/docs/", page("目录", "目录页"))
    site.put("/文档/年 假?.html", page("年假", "中文地址"))
    site.sitemap(
        "/report",
        "/page",
        "/notes.md",
        "/program",
        "/docs/",
        "/%E6%96%87%E6%A1%A3/%E5%B9%B4%20%E5%81%87%3F.html",
    )
    source = await sources.added("sitemap", f"{site.url}/sitemap.xml")
    assert counts(source) == {"pages": 6, "changed": 5, "failed": 1}
    names = sorted(name.partition("/")[2] for name in await sources.kb.files())
    assert [re.sub("-[0-9a-f]{8}", "-#", name) for name in names] == [
        "docs-#.html",
        "notes-#.md",
        "page-#.html",
        "report-#.pdf",
        "文档/年_假_-#.html",
    ]
    (found,) = await sources.kb.search("汉字", top_k=1)
    assert (found["page_content"], found["metadata"]["page_title"]) == ("汉字的网页", "页")
    (found,) = await sources.kb.search("annual report", top_k=1)
    assert (found["metadata"]["url"], found["metadata"]["page"]) == (f"{site.url}/report", 1)


async def test_a_source_goes_with_its_files_or_without(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    site.put("/b.html", page("B", "香蕉很好吃。"))
    kept = await sources.added("page", f"{site.url}/a.html")
    gone = await sources.added("page", f"{site.url}/b.html")
    for source, more in ((kept, {}), (gone, {"with_files": "true"})):
        answer = await sources.kb.http.delete(
            f"{SOURCES}/{source['id']}", params=more, headers=OWNER
        )
        assert answer.status_code == 204
    async with asyncio.timeout(10):
        while (await sources.kb.get(SOURCES, OWNER)).json()["total"]:  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.02)
    (name,) = await sources.kb.files()
    # What is left says still where it is from, also when it is cut again.
    body = {"knowledge_base_name": "kb1", "file_names": [name], "chunk_size": 100}
    await sources.kb.post("/knowledge_base/update_docs", body)
    (found,) = await sources.kb.search("苹果", top_k=1)
    assert found["metadata"]["url"] == f"{site.url}/a.html"
    # The same page again takes up its file instead of making another.
    assert counts(await sources.added("page", f"{site.url}/a.html")) == {"pages": 1, "changed": 1}
    assert await sources.kb.files() == [name]


async def test_a_page_of_two_sources_is_the_firsts(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    site.sitemap("/a.html")
    await sources.added("page", f"{site.url}/a.html")
    second = await sources.added("sitemap", f"{site.url}/sitemap.xml")
    assert counts(second) == {"pages": 1, "failed": 1}
    assert "Another source" in second["last_result"]["reasons"][0]["reason"]
    assert len(await sources.kb.files()) == 1


async def test_a_knowledge_base_goes_with_its_sources(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    await sources.added("page", f"{site.url}/a.html", interval_hours=1)
    answer = await sources.kb.post("/knowledge_base/delete_knowledge_base", "kb1", OWNER)
    assert answer.json()["code"] == 200
    await sources.kb.create(who=OWNER)
    assert (await sources.kb.get(SOURCES, OWNER)).json()["items"] == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1/", "CRAWL_ALLOWED_HOSTS"),
        ("http://169.254.169.254/latest/meta-data/", "CRAWL_ALLOWED_HOSTS"),
        ("http://[64:ff9b::a9fe:a9fe]/", "CRAWL_ALLOWED_HOSTS"),
        ("http://localhost:22/", "ports 80 and 443"),
        ("file:///etc/passwd", "only http"),
        ("http://a:b@example.com/", "user name"),
        ("no url", "only http"),
        ("http://exa mple.com/", "no host"),
        ("http://xn--/", "cannot be read"),
        ("http://[::1", "cannot be read"),
        ("http://a\0b/", "cannot be read"),
    ],
)
async def test_what_may_not_be_fetched_is_refused_at_once(
    sources: Sources, url: str, why: str
) -> None:
    answer = await sources.add("page", url)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert why in answer.json()["detail"]


async def test_sources_are_their_writers_alone(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    source = await sources.added("page", f"{site.url}/a.html")
    path = f"{SOURCES}/{source['id']}"
    assert (await sources.kb.get(path, STRANGER)).status_code == 404
    assert (await sources.kb.get(path, READER)).status_code == 403
    assert (await sources.kb.get(path, ADMIN)).status_code == 200
    assert (await sources.kb.get(f"{SOURCES}/99", OWNER)).json()["code"] == "not_found"
    assert (await sources.add("page", f"{site.url}/a.html")).status_code == 409


async def test_a_source_is_changed(sources: Sources, site: Website) -> None:
    site.put("/a.html", page("A", "苹果很好吃。"))
    source = await sources.added("page", f"{site.url}/a.html", interval_hours=1, pages_max=7)
    path = f"{SOURCES}/{source['id']}"
    soon = datetime.fromisoformat(source["next_run"]) - datetime.now(UTC)
    assert timedelta(minutes=56) < soon < timedelta(minutes=64)
    answer = await sources.kb.http.patch(path, json={"interval_hours": 48}, headers=OWNER)
    changed = answer.json()
    assert (changed["interval_hours"], changed["pages_max"]) == (48, 7)
    later = datetime.fromisoformat(changed["next_run"]) - datetime.now(UTC)
    assert later > timedelta(hours=47)
    answer = await sources.kb.http.patch(path, json={"interval_hours": None}, headers=OWNER)
    assert answer.json()["next_run"] is None
    bad = await sources.kb.http.patch(path, json={"pages_max": None}, headers=OWNER)
    assert bad.status_code == 422


async def test_what_is_due_is_run_after_a_restart(
    make_settings: Callable[..., KbSettings], site: Website
) -> None:
    settings = make_settings(crawl_allowed_hosts=site.host, crawl_delay=60)
    site.put("/a.html", page("A", "苹果很好吃。"))
    async with opened(settings) as before:
        # It waits for a minute between robots.txt and the page.
        answer = await before.add("page", f"{site.url}/a.html")
        source_id = answer.json()["id"]
        async with asyncio.timeout(10):
            while (await before.get(source_id))["state"] != "running":  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.02)
    async with opened(settings.model_copy(update={"crawl_delay": 0})) as after:
        assert counts(await after.ended(source_id)) == {"pages": 1, "changed": 1}
        assert len(await after.kb.files()) == 1
