"""Dense vectors of texts from any OpenAI-compatible `/v1/embeddings`."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

import httpx

from kb_service.errors import NotAnEmbedder, NotEmbedded
from kb_service.names import shown
from servicekit.errors import UpstreamError
from servicekit.http import outside_client

_BATCH = 10  # the smallest limit among the vendors that we know
_PARALLEL = 4
_ATTEMPTS = 3
_RETRIED = {408, 429, 500, 502, 503, 504}

logger = logging.getLogger(__name__)


class Embedder(Protocol):
    """Turns texts into vectors of one length; `size` is None until it is known."""

    model: str
    size: int | None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


class OpenAIEmbedder:
    """An endpoint that speaks OpenAI's embeddings; `size` is learned from its first answer."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        size: int | None = None,
        pause: float = 1.0,
    ) -> None:
        self.model, self.size = model, size
        self._client, self._pause = outside_client(), pause
        self._url = base_url.rstrip("/") + "/embeddings"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order. Raises UpstreamError with a sentence for the user."""
        parts = [self._embed_part(part) for part in _in_batches(texts)]
        return [vector for vectors in await asyncio.gather(*parts) for vector in vectors]

    async def close(self) -> None:
        await self._client.aclose()

    async def _embed_part(self, texts: Sequence[str]) -> list[list[float]]:
        async with self._slots:
            answer = await self._ask({"model": self.model, "input": list(texts)})
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
        except (KeyError, TypeError, ValueError):
            raise _failure("an answer of another shape") from None
        if len(vectors) != len(texts):
            raise _failure(f"{len(vectors)} vectors for {len(texts)} texts")
        for vector in vectors:
            self.size = self.size or len(vector)
            if not vector or len(vector) != self.size:
                raise _failure(f"a vector of length {len(vector)}, expected {self.size}")
        return vectors

    async def _ask(self, body: dict[str, Any]) -> Any:
        why = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause * 2 ** (attempt - 1))
            try:
                answer = await self._client.post(self._url, json=body, headers=self._headers)
            except httpx.TransportError as error:
                why = type(error).__name__
                continue
            if answer.is_success:
                return _json(answer)
            why = f"HTTP {answer.status_code}"
            logger.warning("embeddings: %s: %.500s", why, answer.text)
            if answer.status_code not in _RETRIED:
                break
        raise _failure(why)


async def embed_for_user(
    embedder: Embedder | None, texts: Sequence[str], *, asked_model: str
) -> list[list[float]]:
    """With the one model there is, whichever was asked for. Raises NotAnEmbedder, NotEmbedded."""
    if embedder is None:
        raise NotAnEmbedder(shown(asked_model))
    try:
        return await embedder.embed(texts)
    except UpstreamError as error:
        raise NotEmbedded(error) from None


def _in_batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise _failure("an answer that is not JSON") from None


def _failure(why: str) -> UpstreamError:
    return UpstreamError(f"The embeddings endpoint failed: {why}. 文本向量化过程中出现错误。")
