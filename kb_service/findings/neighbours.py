"""Found chunks that stand together in their file as one passage, in the order of reading."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from kb_service.findings import Finding
from kb_service.joining import joined, shared

_LONGEST = 1_000  # characters: four chunks of the default length, and little enough to cite
_NEAR = 10  # chunks: the contexts of sentences overlap as far as this
_LEAST_SHARED = 8  # characters
# Chunks that differ in these are not one passage: a heading begins another subject, a row is whole.
_APART = ("title", "sheet", "slide", "row")


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one passage in the order of reading, and the one that was found first."""

    best: Finding
    members: Sequence[Finding]
    text: str


class _Waiting:
    """Findings by their rank that are in no group yet."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = findings
        self._ranks = set(range(len(findings)))
        self._at = defaultdict[tuple[str, int], list[int]](list)
        for rank, finding in enumerate(findings):
            self._at[_place(finding)].append(rank)

    def take(self, rank: int) -> Finding | None:
        if rank not in self._ranks:
            return None
        self._ranks.remove(rank)
        return self._findings[rank]

    def near(self, group: Group) -> Iterator[tuple[int, Finding]]:
        """Those that may be a part of it, the best first."""
        ends = (group.members[0], group.members[-1])
        found = {rank for end in ends for rank in self._around(end)}
        yield from ((rank, self._findings[rank]) for rank in sorted(found & self._ranks))

    def _around(self, finding: Finding) -> Iterator[int]:
        version, position = _place(finding)
        reach = _NEAR if finding.chunks[0].has_context else 1
        for at in range(position - reach, position + reach + 1):
            yield from self._at.get((version, at), ())


def grouped(findings: Sequence[Finding]) -> list[Group]:
    """In the order of the best of each; what stands alone is a group of one."""
    waiting = _Waiting(findings)
    return [
        _grown(Group(seed, [seed], seed.text), waiting)
        for rank in range(len(findings))
        if (seed := waiting.take(rank))
    ]


def _grown(group: Group, waiting: _Waiting) -> Group:
    for rank, finding in waiting.near(group):
        if wider := _with(group, finding):
            waiting.take(rank)
            return _grown(wider, waiting)
    return group


def _with(group: Group, finding: Finding) -> Group | None:
    """None when they are not one passage, or a too long one."""
    if any(group.best.metadata.get(key) != finding.metadata.get(key) for key in _APART):
        return None
    members = sorted([*group.members, finding], key=_reading_order)
    if not all(_meet(*pair) for pair in pairwise(members)):
        return None
    text = joined(_without_heads(member.text for member in members))
    return Group(group.best, members, text) if len(text) <= _LONGEST else None


def _meet(one: Finding, other: Finding) -> bool:
    if one.chunks[0].has_context and other.chunks[0].has_context:
        return shared(one.text, other.text) >= _LEAST_SHARED
    return _place(other)[1] - _place(one)[1] <= 1


def _without_heads(texts: Iterable[str]) -> Iterator[str]:
    """What each begins with like the one before it: a title, or the header of a table."""
    before = ""
    for text in texts:
        same = "".join(a for a, b in takewhile(_alike, zip(before, text, strict=False)))
        yield text[max(same.rfind(mark) for mark in "\n。") + 1 :]
        before = text


def _alike(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _reading_order(finding: Finding) -> tuple[int, bool, str]:
    """An added chunk stands behind the file's own one at its position."""
    chunk = finding.chunks[0]
    return chunk.position, chunk.is_edited, chunk.chunk_id


def _place(finding: Finding) -> tuple[str, int]:
    chunk = finding.chunks[0]
    return chunk.file_version, chunk.position
