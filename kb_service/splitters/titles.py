"""Lines that look like the numbered titles of a Chinese document."""

import re
from collections.abc import Iterator

_TITLE_MAX = 20


def is_title(line: str) -> bool:
    """A short line without a full stop and with a number in its first five characters."""
    if not 0 < len(line) <= _TITLE_MAX:
        return False
    letters = [c for c in line if not c.isspace()]
    return (
        re.search(r"[^\w\s]\Z", line) is None
        and not line.isnumeric()
        and any(c.isnumeric() for c in line[:5])
        and sum(c.isalpha() for c in letters) >= len(letters) / 2
    )


def parts_by_title(text: str) -> Iterator[tuple[str, bool]]:
    """Titles (true), and what stands between them."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not is_title(line.strip()):
            lines.append(line)
            continue
        yield "\n".join(lines), False
        yield line.strip(), True
        lines = []
    yield "\n".join(lines), False
