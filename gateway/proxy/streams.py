"""The table of open streams: how many there may be."""

from collections.abc import Iterator
from contextlib import contextmanager

from servicekit.errors import Unavailable


class OpenStreams:
    """Counts the streams of this process up to a bound."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def another(self) -> Iterator[None]:
        """Raises Unavailable when there are too many."""
        if self._left <= 0:
            raise Unavailable(
                "Too many answers are being written; try again soon. 当前对话过多，请稍后再试。",
                retry_after=5,
            )
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1
