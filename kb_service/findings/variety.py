"""Passages that say different things, from more than one file where others are as good."""

from collections.abc import Sequence

from kb_service.findings.neighbours import Group

_NEARLY = 0.05  # of distance
_LEAST = 3  # passages: of fewer every place counts


def varied(groups: Sequence[Group], top_k: int) -> list[Group]:
    """The first ones; the last gives way to the best of another file when they are all of one."""
    chosen = list(groups[:top_k])
    if len(chosen) < max(top_k, _LEAST) or len({_file(group) for group in chosen}) > 1:
        return chosen
    limit = chosen[-1].best.score + _NEARLY
    for other in groups[top_k:]:
        if _file(other) != _file(chosen[0]) and other.best.score <= limit:
            chosen[-1] = other
            break
    return chosen


def _file(group: Group) -> str:
    return group.best.file_name
