"""The web's search engines behind one Protocol; what they return is text, never markup."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """One result; its URL is http or https, its snippet holds no HTML, image or link."""

    url: str
    title: str
    snippet: str


class SearchEngine(Protocol):
    """Finds pages, the best first. Raises SearchFailed."""

    async def search(self, query: str, *, limit: int) -> list[Found]: ...
