"""What processes and their children use, as Linux counts it."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def memory_mb(root: int) -> float:
    """Sum of the proportional set sizes."""
    return sum(map(_pss_mb, _family(root)))


def cpu_seconds(root: int) -> float:
    """Of those that live, and of those that they have waited for."""
    return sum(map(_cpu_seconds, _family(root)))


def _family(root: int) -> list[int]:
    """The process and its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(_fields(stat)[1])
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
    found, queue = [root], [root]
    while queue:
        parent = queue.pop()
        children = [pid for pid, its_parent in parents.items() if its_parent == parent]
        found += children
        queue += children
    return found


def _fields(stat: Path) -> list[str]:
    """What follows the name: state, parent, ..."""
    return stat.read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    try:
        return sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[11:15])) / _TICKS
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
