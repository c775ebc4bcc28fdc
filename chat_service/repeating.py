"""Work of the background: again and again, whatever became of it the last time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


async def repeat(
    work: Callable[[], Awaitable[None]], *, every: float, at_the_end: bool = False
) -> None:
    """Until cancelled, and `at_the_end` then once more."""
    try:
        while True:
            await _try(work)
            await asyncio.sleep(every)
    finally:
        if at_the_end:
            await _try(work)


async def _try(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # a background worker's loop outlives any failure: the next time it may work
        logger.exception("%s failed; it is tried again", getattr(work, "__qualname__", work))
