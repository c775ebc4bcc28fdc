"""What the use cases speak of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

VisibilityKind = Literal["all", "clients", "groups"]


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which callers a knowledge base is shown to, beside its owner client and operators.

    A group is a name that a client gives its own users, so it counts for the named clients only:
    otherwise any client could put its users into a group that another one's documents are for.
    """

    kind: VisibilityKind = "all"
    clients: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """A named collection of files; its owner client writes, who may see it reads."""

    id: int
    name: str
    zh_name: str
    info: str
    vs_type: str
    embed_model: str
    owner_client: str
    create_time: datetime
    file_count: int = 0
    visibility: Visibility = Visibility()


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """How a document is cut, in characters."""

    size: int
    overlap: int
    zh_title_enhance: bool = False


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """Whether text is read off pictures of it, and off how many pages of a file at most."""

    ocr: bool = True
    ocr_pages_max: int = 50


@dataclass(frozen=True, slots=True)
class CustomDoc:
    """A passage that the uploader cut."""

    content: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a knowledge base; unlisted ones were taken out but their content was kept."""

    id: int
    kb_id: int
    name: str
    content_id: str
    size: int
    mtime: float
    listed: bool
    custom_docs: bool
    options: ChunkOptions | None
    live_version: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes on disk that a file row will point to."""

    id: str
    size: int
    mtime: float


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A finished index of one content, ready to go live."""

    id: str
    kb_id: int
    file_name: str
    content: Content
    custom_docs: bool
    options: ChunkOptions
    loader: str
    splitter: str
    chunks: int
    term_counts: bytes


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a file pointed to before, and contents that nothing points to any more."""

    version: str | None
    content_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """What the search has to know about a version at start."""

    id: str
    kb_id: int
    collection: str
    chunks: int
    term_counts: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A recommended question; without a knowledge base it is for free chat."""

    id: int
    query: str
    kb_name: str | None
    answer: str | None
    tap_count: int
    enable: bool
    create_time: datetime


JobKind = Literal["upload", "update", "recreate"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
JobStep = Literal["", "parsing", "indexing", "removing"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who wished for a job: for fairness and for people to see, never an authority."""

    client_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A file to index: as this content if there is one, else as the content that it has by then.

    `passages_id` names a content too: passages that a user cut, instead of the file's own text.
    """

    kb_id: int
    file_name: str
    kind: JobKind
    options: ChunkOptions
    parsing: ParseOptions
    owner: Owner
    content: Content | None = None
    passages_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job; every claim makes a new token, which ends the earlier right."""

    job_id: int
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(NewJob):
    """A job as its row says; `version` is the index that its worker is building, or built last."""

    id: int
    kb_name: str
    state: JobState
    step: JobStep
    done: int
    total: int | None
    reason: str
    attempts: int
    lease_token: int
    version: str | None
    create_time: datetime
    update_time: datetime

    @property
    def lease(self) -> Lease:
        return Lease(self.id, self.lease_token)

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}
