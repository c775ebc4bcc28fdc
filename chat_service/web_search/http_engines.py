"""Search engines that are asked over HTTP, each as its documentation says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chat_service.errors import SearchFailed
from chat_service.outside import Outside, OutsideFailed
from chat_service.web_search import Found
from chat_service.web_search.cleaning import found


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One engine's: `asked` makes the query or the body, `path` leads to the list of results."""

    name: str
    url: str
    asked: Callable[[str, int], dict[str, Any]]
    path: tuple[str, ...]
    title: str
    texts: tuple[str, ...]
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def searxng(url: str) -> Api:
    return Api(
        name="searxng",
        method="GET",
        url=f"{url.rstrip('/')}/search",
        asked=lambda query, _: {"q": query, "format": "json", "safesearch": 1},
        path=("results",),
        title="title",
        texts=("content",),
    )


def bing(url: str, key: str) -> Api:
    """Also of the services that speak Bing's API after its end."""
    return Api(
        name="bing",
        method="GET",
        url=url,
        headers={"Ocp-Apim-Subscription-Key": key},
        asked=lambda query, limit: {
            "q": query,
            "count": limit,
            "textDecorations": "false",
            "textFormat": "Raw",
        },
        path=("webPages", "value"),
        title="name",
        texts=("snippet",),
    )


def exa(url: str, key: str) -> Api:
    """Metaphor's name of today."""
    return Api(
        name="metaphor",
        url=f"{url.rstrip('/')}/search",
        headers={"x-api-key": key},
        asked=lambda query, limit: {
            "query": query,
            "numResults": limit,
            "contents": {"text": {"maxCharacters": 6_000}},
        },
        path=("results",),
        title="title",
        texts=("text", "summary"),
    )


def tavily(url: str, key: str) -> Api:
    return Api(
        name="tavily",
        url=f"{url.rstrip('/')}/search",
        headers={"Authorization": f"Bearer {key}"},
        asked=lambda query, limit: {"query": query, "max_results": min(limit, 20)},
        path=("results",),
        title="title",
        texts=("content",),
    )


def bocha(url: str, key: str) -> Api:
    return Api(
        name="bocha",
        url=f"{url.rstrip('/')}/web-search",
        headers={"Authorization": f"Bearer {key}"},
        asked=lambda query, limit: {"query": query, "count": limit, "summary": True},
        path=("data", "webPages", "value"),
        title="name",
        texts=("summary", "snippet"),
    )


class HttpEngine:
    """Any of them."""

    def __init__(self, outside: Outside, api: Api) -> None:
        self._outside, self._api = outside, api

    async def search(self, query: str, *, limit: int) -> list[Found]:
        api, asked = self._api, self._api.asked(query, limit)
        in_query, in_body = (asked, None) if api.method == "GET" else (None, asked)
        headers = {"Accept": "application/json", **api.headers}
        try:
            status, raw = await self._outside.call(
                api.method, api.url, query=in_query, body=in_body, headers=headers
            )
            if status != 200:
                raise SearchFailed(api.name, f"{status}: {raw[:300].decode('utf-8', 'replace')}")
            items = _at(api.path, orjson.loads(raw))
        except OutsideFailed as error:
            raise SearchFailed(api.name, str(error)) from None
        except orjson.JSONDecodeError as error:
            raise SearchFailed(api.name, f"not JSON: {error}") from None
        results = [self._found(item) for item in items if isinstance(item, dict)]
        return [result for result in results if result is not None][:limit]

    def _found(self, item: dict[str, Any]) -> Found | None:
        text = next((item[name] for name in self._api.texts if item.get(name)), None)
        return found(item.get("url"), item.get(self._api.title), text)


def _at(path: tuple[str, ...], body: Any) -> list[Any]:
    """The list there; engines leave it out when they found nothing."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, list) else []
