"""Rerankers: models that read a question together with each passage that was found for it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from servicekit.errors import UpstreamError

logger = logging.getLogger(__name__)


class Reranker(Protocol):
    """Tells how well texts answer a question, better than any of the searches before it."""

    model: str
    seconds: float  # that a search waits for it

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A relevance for each text, in their order, higher is better. Raises UpstreamError."""


async def relevance(
    reranker: Reranker | None, query: str, texts: Sequence[str]
) -> list[float] | None:
    """None when there is no reranker, or when it fails or is too slow: that is never an error."""
    if reranker is None or not texts:
        return None
    try:
        async with asyncio.timeout(reranker.seconds):
            return await reranker.rerank(query, texts)
    except (UpstreamError, TimeoutError) as error:
        logger.warning("the passages stay as they were found, the reranker failed: %r", error)
        return None
