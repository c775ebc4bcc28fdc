"""A moderation endpoint as OpenAI has it; when it is away, questions pass with a warning."""

import logging

import orjson

from chat_service.outside import Outside, OutsideFailed

_LONGEST = 20_000

logger = logging.getLogger(__name__)


class ModerationEndpoint:
    """`/moderations` under the base URL."""

    def __init__(self, outside: Outside, base_url: str, *, api_key: str, model: str) -> None:
        self._outside, self._url, self._model = outside, f"{base_url}/moderations", model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def flags(self, text: str) -> bool:
        body = {"input": text[:_LONGEST]} | ({"model": self._model} if self._model else {})
        try:
            status, raw = await self._outside.call(
                "POST", self._url, body=body, headers=self._headers
            )
            if status != 200:
                raise OutsideFailed(f"it answered {status}")
            return any(bool(result["flagged"]) for result in orjson.loads(raw)["results"])
        except (OutsideFailed, orjson.JSONDecodeError, KeyError, TypeError) as error:
            logger.warning("a question was not moderated: %s: %s", type(error).__name__, error)
            return False
