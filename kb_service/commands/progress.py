"""How far a command is: a bar on a terminal, else a line now and then."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Self

_LINE_AFTER = 10.0
_SHOWN = 200


class Progress:
    def __init__(self, total: int, name: str = "import 导入") -> None:
        self._total, self._done, self._said = total, 0, time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm  # the service, which knows this module too, does without

            self._bar = tqdm(total=total, unit="", dynamic_ncols=True, desc=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, number: int) -> None:
        self._done += number
        if self._bar is not None:
            self._bar.update(number)
        elif time.monotonic() - self._said > _LINE_AFTER:
            self._said = time.monotonic()
            print(f"{self._done} / {self._total}", file=sys.stderr, flush=True)

    def expect(self, total: int) -> None:
        """It was not known before how many there are."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def print_table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    from wcwidth import ljust, width  # the service does without this, too

    print(f"\n{title} ({len(rows)})")
    widest = max(width(name) for name, _ in rows[:_SHOWN])
    column = min(widest, shutil.get_terminal_size().columns // 2)
    for name, reason in rows[:_SHOWN]:
        print(f"  {ljust(name, column)}  {' '.join(reason.split())}")
    if len(rows) > _SHOWN:
        print(f"  … {len(rows) - _SHOWN} more 另有 {len(rows) - _SHOWN} 条")
