"""What the use cases about single chunks speak of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kb_service.entities import Owner

ChunkState = Literal["enabled", "disabled", "edited", "added"]
ChunkAction = Literal["edit", "enable", "disable", "add", "delete", "restore"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as its file has it, at its position in the live version."""

    version: str
    position: int
    content: str
    metadata: dict[str, Any]
    context: str | None = None


@dataclass(frozen=True, slots=True)
class ChunkEdit:
    """What a user made of a chunk, or added; without an id it is not stored yet.

    `anchor` is the text of the file's own chunk that it stands for, at `position` of the live
    version; of an added one, that it stands behind. It is lost when the file has no such text any
    more: then it stands for nothing and answers beside the others. `version` is the index that
    answers for it, `number` counts its changes.
    """

    kb_id: int
    file_name: str
    anchor: str
    position: int
    content: str
    metadata: dict[str, Any]
    context: str | None = None
    is_added: bool = False
    is_lost: bool = False
    is_enabled: bool = True
    is_deleted: bool = False
    number: int = 0
    version: str | None = None
    id: int | None = None

    @property
    def hides(self) -> bool:
        """Whether the chunk at its position answers no more."""
        return not (self.is_added or self.is_lost or self.is_deleted)

    @property
    def answers(self) -> bool:
        return self.is_enabled and not self.is_deleted

    @property
    def shown_context(self) -> str | None:
        """What is given for it, as long as its text can be found there to be replaced."""
        if self.context is None or not self.hides or self.anchor not in self.context:
            return None
        return self.context


@dataclass(frozen=True, slots=True)
class Chunk:
    """One of a file, in its order: `original` is the file's text where a user changed it."""

    id: str
    position: int
    content: str
    context: str | None
    metadata: dict[str, Any]
    state: ChunkState
    original: str | None


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """Some of many chunks."""

    chunks: list[Chunk]
    total: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a chunk; `before` is None of an added one's first."""

    number: int
    action: ChunkAction
    before: str | None
    after: str
    is_enabled: bool
    author: Owner
    time: datetime


@dataclass(frozen=True, slots=True)
class Hidden:
    """A chunk of a version that answers no more, and what stands there instead.

    The `replacement` goes where the text is in what is given for its neighbours.
    """

    doc_id: str
    position: int
    text: str
    context: str | None
    replacement: str
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The index of one edited chunk: a version of its own, built unseen."""

    version: str
    collection: str
    term_counts: Mapping[str, int]
    packed_counts: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """An edit at its place in a new version of its file, with a new index if it needs one."""

    edit: ChunkEdit
    overlay: Overlay | None
    hidden: Hidden | None


@dataclass(frozen=True, slots=True)
class EditPlan:
    """What becomes of a file's edits with its new version, and what to tell about it.

    `seen` are the ids and numbers of all edits that there were when this was made.
    """

    seen: frozenset[tuple[int, int]] = frozenset()
    moved: tuple[Moved, ...] = ()
    discards: bool = False
    notes: tuple[str, ...] = ()


NO_EDITS = EditPlan()
