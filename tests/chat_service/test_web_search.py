"""Each engine is asked as its documentation says, and what it returns is made harmless."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from chat_service.errors import SearchFailed
from chat_service.outside import Outside
from chat_service.settings import ChatSettings
from chat_service.web_search import Found
from chat_service.web_search.choice import WebSearch
from chat_service.web_search.cleaning import found, plain
from chat_service.web_search.pieces import best_pieces, split
from servicekit.errors import NotFound
from tests.fakes.web import WebServer

KEY = "k-of-the-engine"
PAGES = [
    {"name": "年假", "url": "https://a.example/1", "snippet": "五天"},
    {"name": "No text", "url": "https://a.example/2", "snippet": ""},
    {"name": "No address", "url": "javascript:alert(1)", "snippet": "x"},
    "not an object",
    {"name": "Two", "url": "https://a.example/3", "snippet": "ten"},
]
RESULTS = [{"title": "T", "url": "https://a.example/1", "content": "text"}]
# engine, path, its answer, its header, what it is asked with
ENGINES: dict[str, tuple[str, Any, tuple[str, str], dict[str, Any]]] = {
    "searxng": (
        "/search",
        {"query": "q", "results": RESULTS},
        ("Accept", "application/json"),
        {"q": "q", "format": "json", "safesearch": "1"},
    ),
    "bing": (
        "/v7.0/search",
        {"_type": "SearchResponse", "webPages": {"value": PAGES}},
        ("Ocp-Apim-Subscription-Key", KEY),
        {"q": "q", "count": "2", "textDecorations": "false", "textFormat": "Raw"},
    ),
    "metaphor": (
        "/search",
        {"results": [{"title": "T", "url": "https://a.example/1", "text": "text"}]},
        ("x-api-key", KEY),
        {"query": "q", "numResults": 2, "contents": {"text": {"maxCharacters": 6_000}}},
    ),
    "tavily": (
        "/search",
        {"query": "q", "results": RESULTS},
        ("Authorization", f"Bearer {KEY}"),
        {"query": "q", "max_results": 2},
    ),
    "bocha": (
        "/web-search",
        {
            "code": 200,
            "data": {"webPages": {"value": [{**PAGES[0], "summary": "五天年假"}]}},  # type: ignore[dict-item]  # the first is an object
        },
        ("Authorization", f"Bearer {KEY}"),
        {"query": "q", "count": 2, "summary": True},
    ),
}
EXPECTED = {
    "bing": [
        Found("https://a.example/1", "年假", "五天"),
        Found("https://a.example/3", "Two", "ten"),
    ],
    "bocha": [Found("https://a.example/1", "年假", "五天年假")],
}


@pytest.fixture
async def internet() -> AsyncIterator[WebServer]:
    async with WebServer() as server:
        yield server


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    opened = Outside()
    yield opened
    await opened.close()


def configured(internet: WebServer, **more: Any) -> ChatSettings:
    values: dict[str, Any] = {
        "searxng_url": internet.url,
        "bing_search_url": f"{internet.url}/v7.0/search",
        "metaphor_url": internet.url,
        "tavily_url": internet.url,
        "bocha_url": internet.url,
        **{
            f"{name}_key": KEY
            for name in ("bing_subscription", "metaphor_api", "tavily_api", "bocha_api")
        },
    }
    return ChatSettings(**values | more)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_is_asked_as_documented(
    engine: str, internet: WebServer, outside: Outside
) -> None:
    path, answer, (header, value), asked = ENGINES[engine]
    internet.put(path, answer)
    search = WebSearch(configured(internet), outside)
    results = await search.search(engine, "q", limit=2)
    assert results == EXPECTED.get(engine, [Found("https://a.example/1", "T", "text")])
    (request,) = internet.asked
    assert request.headers[header] == value
    assert (request.body or request.query) == asked


@pytest.mark.parametrize(
    "answer", [{}, {"webPages": None}, {"webPages": {"value": {}}}, {"webPages": {"value": []}}]
)
async def test_nothing_found(answer: Any, internet: WebServer, outside: Outside) -> None:
    internet.put("/v7.0/search", answer)
    assert await WebSearch(configured(internet), outside).search("bing", "q", limit=3) == []


async def _html(_: web.Request) -> web.Response:
    return web.Response(text="<html>", status=200)


async def _refusal(_: web.Request) -> web.Response:
    return web.Response(text="bad key", status=401)


async def _moved(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"{request.url}?again")


async def _endless(_: web.Request) -> web.Response:
    return web.Response(body=b" " * (5 * 1024 * 1024))


@pytest.mark.parametrize("failing", [_html, _refusal, _moved, _endless])
async def test_a_failing_engine(failing: Any, internet: WebServer, outside: Outside) -> None:
    internet.put("/v7.0/search", failing)
    with pytest.raises(SearchFailed) as failure:
        await WebSearch(configured(internet), outside).search("bing", "q", limit=3)
    assert KEY not in failure.value.detail


async def test_nobodys_search_is_in_the_log(
    internet: WebServer, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    internet.put("/search", {"results": []})
    with caplog.at_level("INFO"):
        await WebSearch(configured(internet), outside).search("searxng", "my-illness", limit=3)
    assert internet.asked
    assert "my-illness" not in caplog.text


async def test_an_engine_that_cannot_be_reached(outside: Outside) -> None:
    search = WebSearch(ChatSettings(searxng_url="http://127.0.0.1:1"), outside)
    with pytest.raises(SearchFailed):
        await search.search("searxng", "q", limit=3)


async def test_what_is_listed_and_what_is_missing(internet: WebServer, outside: Outside) -> None:
    bare = WebSearch(ChatSettings(), outside)
    assert bare.names == ["bing", "duckduckgo", "metaphor"]
    for name, text in {
        "bing": "要使用Bing搜索引擎，需要设置 `BING_SUBSCRIPTION_KEY`",
        "exa": "要使用Metaphor搜索引擎，需要设置 `METAPHOR_API_KEY`",
        "tavily": "要使用Tavily搜索引擎，需要设置 `TAVILY_API_KEY`",
        "谷歌": "未支持搜索引擎 谷歌",
    }.items():
        with pytest.raises(NotFound, match=text):
            bare.require(name)
    full = WebSearch(configured(internet, default_search_engine="exa"), outside)
    assert full.names == ["bing", "duckduckgo", "metaphor", "bocha", "searxng", "tavily"]
    assert full.default == "metaphor"
    assert full.require("exa") is full.require("metaphor")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<b>年假</b> 五天", "年假 五天"),
        ("a &lt;script&gt;x&lt;/script&gt; b", "a ＜script>x＜/script> b"),
        ("<img src=x onerror=alert(1)>ok", "ok"),
        ("<style>p{}</style><script>x</script>ok", "ok"),
        ("before ![alt](https://evil.example/pixel.png) after", "before alt after"),
        ("![a![b](https://evil.example)](https://evil.example)", "a!b"),
        ("![a [b](https://e.example", "[a [b] (https://e.example"),
        ("!!![x][1]", "[x][1]"),
        ("see [here](https://evil.example/?q=1) now", "see here now"),
        ("![x][1]\n\n[1]: https://evil.example/p.png", "[x][1]\n[1] : https://evil.example/p.png"),
        ("x [a][b] ](https://e.example)", "x [a][b] ] (https://e.example)"),
        ("three < four & five", "three ＜ four & five"),
        ("many   spaces\n\n\n  and lines ", "many spaces\nand lines"),
        (None, ""),
        (7, ""),
        ("half \ud83d", "half ?"),
    ],
)
def test_text_loads_nothing_and_links_nowhere(markup: Any, text: str) -> None:
    assert plain(markup) == text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.example",
        "https://a b",
        "",
        None,
        5,
        "https://" + "a" * 2_000,
    ],
)
def test_addresses_that_are_no_web_page(url: Any) -> None:
    assert found(url, "t", "text") is None


def test_long_results_are_split_and_the_best_pieces_kept() -> None:
    filler = "今天天气不错，大家都很高兴。" * 60
    results = [
        Found("https://a.example", "A", filler + "正式员工每年有十五天年假。" + filler),
        Found("https://b.example", "B", "年假要提前两周申请。"),
    ]
    best = best_pieces("年假有几天", results, limit=2)
    assert {piece.url for piece in best} == {"https://a.example", "https://b.example"}
    assert any("十五天年假" in piece.snippet for piece in best)
    assert all(len(piece.snippet) <= 500 for piece in best)
    assert best_pieces("x", results[1:], limit=2) == results[1:]


def test_pieces_hold_the_whole_text() -> None:
    text = "".join(f"第{n}句话说的是第{n}件事情，不多也不少。" for n in range(100))
    pieces = split(text)
    assert all(len(piece) <= 500 for piece in pieces)
    for n in range(100):
        assert any(f"第{n}句话说的是第{n}件事情" in piece for piece in pieces)
    assert split("字" * 1_200) == ["字" * 500, "字" * 500, "字" * 200]
    assert split("  ") == []
