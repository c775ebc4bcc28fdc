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
    """A finished index of one content, ready to go live.

    `expected_content` is what the file row must still point to, None when there must be no row.
    """

    id: str
    kb_id: int
    file_name: str
    content: Content
    expected_content: str | None
    custom_docs: bool
    options: ChunkOptions
    loader: str
    splitter: str
    chunks: int
    term_counts: bytes


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a file pointed to before."""

    version: str | None
    content_id: str | None


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
