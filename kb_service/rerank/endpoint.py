"""An endpoint with `/rerank` as Jina, Cohere, SiliconFlow, vLLM and Qwen's newer one have it.

A URL that ends in `/text-rerank` is DashScope's own, whose request and answer have another shape.
"""

from collections.abc import Sequence
from typing import Any

import httpx
import orjson

from servicekit.errors import UpstreamError
from servicekit.http import outside_client

_DASHSCOPE = "/text-rerank"


class EndpointReranker:
    """`base_url` may name the path too, where a vendor calls it otherwise."""

    def __init__(self, *, base_url: str, api_key: str, model: str, seconds: float) -> None:
        self.model, self.seconds = model, seconds
        url = base_url.rstrip("/")
        self._url = url if url.endswith(("/rerank", "/reranks", _DASHSCOPE)) else f"{url}/rerank"
        self._client = outside_client()
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        body = orjson.dumps(self._request(query, list(texts)))
        try:
            answer = await self._client.post(self._url, content=body, headers=self._headers)
        except httpx.TransportError as error:
            raise _failure(type(error).__name__) from None
        if not answer.is_success:
            raise _failure(f"HTTP {answer.status_code}")
        return _relevances(answer.content, len(texts))

    async def close(self) -> None:
        await self._client.aclose()

    def _request(self, query: str, texts: list[str]) -> dict[str, Any]:
        asked: dict[str, Any] = {"query": query, "documents": texts}
        options = {"top_n": len(texts)}
        if self._url.endswith(_DASHSCOPE):
            return {"model": self.model, "input": asked, "parameters": options}
        return {"model": self.model, **asked, **options}


def _relevances(content: bytes, number: int) -> list[float]:
    """In the order of the texts, however the answer is ordered."""
    try:
        body = orjson.loads(content)
        rows = body.get("output", body)["results"]
        found = {int(row["index"]): float(row["relevance_score"]) for row in rows}
        return [found[index] for index in range(number)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _failure("an answer of another shape") from None


def _failure(why: str) -> UpstreamError:
    return UpstreamError(f"The passages could not be reranked: {why}. 重排失败。")
