"""Work of the background: again and again, whatever became of it the last time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import anyio

logger = logging.getLogger(__name__)


async def repeat(
    work: Callable[[], Awaitable[None]], *, every: float, bell: asyncio.Event | None = None
) -> None:
    """Until cancelled: at once, then every so many seconds and whenever the bell is rung."""
    bell = bell or asyncio.Event()
    while True:
        bell.clear()
        await attempt(work)
        with anyio.move_on_after(every):
            await bell.wait()


async def attempt(work: Callable[[], Awaitable[None]]) -> None:
    """For those to whom its failure is no reason to fail."""
    try:
        await work()
    except Exception:  # a boundary: loops outlive any failure, and others left this for later
        logger.exception("%s failed; it is tried again", getattr(work, "__qualname__", work))
