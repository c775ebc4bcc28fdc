"""DuckDuckGo through `ddgs`, which reads its pages in a thread; imported when first used."""

import re
from typing import TYPE_CHECKING

import anyio.to_thread

from chat_service.errors import SearchFailed
from chat_service.web_search import Found
from chat_service.web_search.cleaning import found

if TYPE_CHECKING:
    from ddgs import DDGS

_SECONDS = 10
_WITHIN = 15
_AT_ONCE = 8
_CHINESE = re.compile(r"[\u3400-\u9fff]")


class DuckDuckGo:
    """`verify` may name a file of certificates to trust instead of the system's."""

    def __init__(self, *, proxy: str = "", verify: bool | str = True) -> None:
        self._proxy, self._verify = proxy or None, verify
        self._limiter: anyio.CapacityLimiter | None = None

    async def search(self, query: str, *, limit: int) -> list[Found]:
        if self._limiter is None:  # it belongs to the loop that runs
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        try:
            with anyio.fail_after(_WITHIN):
                return await anyio.to_thread.run_sync(
                    self._search, query, limit, abandon_on_cancel=True, limiter=self._limiter
                )
        except TimeoutError:
            raise SearchFailed("duckduckgo", "no answer in time") from None

    def _search(self, query: str, limit: int) -> list[Found]:
        from ddgs.exceptions import DDGSException

        region = "cn-zh" if _CHINESE.search(query) else "us-en"
        try:
            items = self._open().text(query, region=region, max_results=limit, backend="duckduckgo")
        except DDGSException as error:
            if str(error) == "No results found.":
                return []
            raise SearchFailed("duckduckgo", f"{type(error).__name__}: {error}") from None
        results = [found(item.get("href"), item.get("title"), item.get("body")) for item in items]
        return [result for result in results if result is not None][:limit]

    def _open(self) -> "DDGS":
        from ddgs import DDGS

        return DDGS(proxy=self._proxy, timeout=_SECONDS, verify=self._verify)
