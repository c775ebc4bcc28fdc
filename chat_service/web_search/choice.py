"""Which search engine is asked: those that the operator configured, by their old names too."""

from chat_service.outside import Outside
from chat_service.settings import ChatSettings
from chat_service.web_search import Found, SearchEngine
from chat_service.web_search.duckduckgo import DuckDuckGo
from chat_service.web_search.http_engines import HttpEngine, bing, bocha, exa, searxng, tavily
from chat_service.web_search.pieces import best_pieces
from servicekit.errors import NotFound

_ALWAYS_LISTED = ("bing", "duckduckgo", "metaphor")
_OTHER_NAMES = {"exa": "metaphor"}
_NEEDED = {
    "bing": ("Bing", "BING_SUBSCRIPTION_KEY"),
    "metaphor": ("Metaphor", "METAPHOR_API_KEY"),
    "searxng": ("SearXNG", "SEARXNG_URL"),
    "tavily": ("Tavily", "TAVILY_API_KEY"),
    "bocha": ("Bocha", "BOCHA_API_KEY"),
}


class WebSearch:
    """The engines of this installation; `default` is the agent's."""

    def __init__(self, settings: ChatSettings, outside: Outside) -> None:
        keyed = (
            (bing, settings.bing_search_url, settings.bing_subscription_key),
            (exa, settings.metaphor_url, settings.metaphor_api_key),
            (tavily, settings.tavily_url, settings.tavily_api_key),
            (bocha, settings.bocha_url, settings.bocha_api_key),
        )
        apis = [api(url, key.get_secret_value()) for api, url, key in keyed if key]
        if settings.searxng_url:
            apis.append(searxng(settings.searxng_url))
        self._engines: dict[str, SearchEngine] = {
            "duckduckgo": DuckDuckGo(proxy=settings.duckduckgo_proxy),
            **{api.name: HttpEngine(outside, api) for api in apis},
        }
        self.default = _OTHER_NAMES.get(name := settings.default_search_engine, name)

    @property
    def names(self) -> list[str]:
        """The old three, and what else is configured."""
        return [*_ALWAYS_LISTED, *sorted(self._engines.keys() - set(_ALWAYS_LISTED))]

    def require(self, name: str) -> SearchEngine:
        """Raises NotFound for an engine that nobody knows or that lacks its key."""
        known = _OTHER_NAMES.get(name, name)
        if engine := self._engines.get(known):
            return engine
        if known in _NEEDED:
            shown, key = _NEEDED[known]
            raise NotFound(f"要使用{shown}搜索引擎，需要设置 `{key}`")
        raise NotFound(f"未支持搜索引擎 {name}")

    async def search(
        self, name: str, query: str, *, limit: int, split: bool = False
    ) -> list[Found]:
        """Raises NotFound, SearchFailed."""
        results = await self.require(name).search(query, limit=limit)
        return best_pieces(query, results, limit=limit) if split else results
