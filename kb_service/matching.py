"""Finds the chunks that edits were made on in a new version of their file."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b

from kb_service.chunk_entities import ChunkEdit
from kb_service.folding import normalised

NEAR = 10  # chunks before and after the old place where a changed text is looked for
_SAME_TEXT = 0.6  # of the pairs of characters


def key_of(text: str) -> bytes:
    """Equal for texts that differ in white space, width and case alone."""
    return blake2b("".join(normalised(text).split()).encode(), digest_size=16).digest()


def places(
    edits: Sequence[ChunkEdit],
    positions: Mapping[bytes, Sequence[int]],
    texts: Mapping[int, str],
) -> dict[int, int]:
    """For each edit (by id) whose chunk is there the position; lost are those without one.

    `positions` are where the texts of anchors are, by `key_of`; `texts` those that are near.
    """
    found: dict[int, int] = {}
    taken: set[int] = set()
    rest: list[ChunkEdit] = []
    for edit in sorted(edits, key=lambda edit: edit.position):
        same = positions.get(key_of(edit.anchor), ())
        free = [place for place in same if edit.is_added or place not in taken]
        if free:
            found[_id(edit)] = nearest = min(free, key=partial(_distance, edit))
            if not edit.is_added:
                taken.add(nearest)
        elif not edit.is_added and not edit.is_lost:
            rest.append(edit)
    for edit in rest:
        similar = _most_similar(edit, texts, taken)
        if similar is not None:
            found[_id(edit)] = similar
            taken.add(similar)
    return found


def _distance(edit: ChunkEdit, place: int) -> int:
    return abs(place - edit.position)


def _most_similar(edit: ChunkEdit, texts: Mapping[int, str], taken: set[int]) -> int | None:
    around = range(edit.position - NEAR, edit.position + NEAR + 1)
    own = _pairs(edit.anchor)
    scores = {
        place: _similarity(own, _pairs(texts[place]))
        for place in around
        if place in texts and place not in taken
    }
    best = max(scores, key=lambda at: (scores[at], -_distance(edit, at)), default=None)
    return best if best is not None and scores[best] >= _SAME_TEXT else None


def _pairs(text: str) -> Counter[str]:
    plain = "".join(normalised(text).split())
    return Counter(_joined(plain))


def _joined(text: str) -> Iterable[str]:
    return (text[at : at + 2] for at in range(max(len(text) - 1, 1)))


def _similarity(one: Counter[str], other: Counter[str]) -> float:
    return 2 * (one & other).total() / max(one.total() + other.total(), 1)


def _id(edit: ChunkEdit) -> int:
    assert edit.id is not None
    return edit.id
