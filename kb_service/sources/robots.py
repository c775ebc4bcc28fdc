"""What a site's robots.txt says to us."""

from protego import Protego

_DELAY_MAX = 30.0


class Robots:
    def __init__(self, text: str, agent: str) -> None:
        self._rules, self._agent = Protego.parse(text), agent

    def allows(self, url: str) -> bool:
        return self._rules.can_fetch(url, self._agent)

    @property
    def delay(self) -> float:
        """The pause between requests that it asks for, in seconds; more than ours may be."""
        return min(max(self._rules.crawl_delay(self._agent) or 0.0, 0.0), _DELAY_MAX)
