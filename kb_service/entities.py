"""What the use cases speak of."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self

VisibilityKind = Literal["all", "clients", "groups"]
# Each with the options that no other splitter has.
SPLITTERS: dict[str, tuple[str, ...]] = {
    "recursive": (),
    "markdown": ("heading_prefix",),
    "fixed": (),
    "sentence_window": ("window",),
    "table": (),
    "parent_child": ("parent_size",),
    "qa": ("header_row",),
}
_OPTION_BOUNDS = {"size": (1, 10_000), "overlap": (0, 10_000)}
_OPTION_BOUNDS |= {"window": (1, 10), "parent_size": (2, 20_000)}


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
    """A named collection of files; its owner client writes, who may see it reads.

    `chunking` is how its files are cut, None as the installation has it. `embed_model` is what
    they are indexed with from now on: one that was chosen, or the installation's default.
    """

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
    chunking: "ChunkOptions | None" = None
    follows_default_model: bool = True


class InvalidOptions(ValueError):
    """What is wrong with options, in the words of a sentence to their user."""


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """How a document is cut, lengths in characters.

    `heading_prefix` puts the path of headings before each chunk, `window` is how many sentences on
    each side are given with the found one, `parent_size` the length of what is given for a child,
    `header_row` whether the first row of a table of questions and answers names its columns.
    """

    size: int
    overlap: int
    zh_title_enhance: bool = False
    splitter: str = "recursive"
    heading_prefix: bool = False
    window: int = 2
    parent_size: int = 1_000
    header_row: bool = True

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads: the common options and those that the splitter has."""
        names = ("splitter", "size", "overlap", "zh_title_enhance", *SPLITTERS[self.splitter])
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Options of other splitters are left out. Raises InvalidOptions."""
        for name, value in values.items():
            _check_option(name, value)
        if missing := {"size", "overlap"} - values.keys():
            names = ", ".join(sorted(missing))
            raise InvalidOptions(f"缺少分块选项：{names}。Missing chunk options: {names}.")
        own = SPLITTERS[values.get("splitter", "recursive")]
        others = set().union(*SPLITTERS.values()).difference(own)
        options = cls(**{name: value for name, value in values.items() if name not in others})
        if options.overlap >= options.size:
            raise InvalidOptions(
                "overlap must be smaller than size. 分块重叠长度必须小于分块长度。"
            )
        if options.splitter == "parent_child" and options.parent_size <= options.size:
            raise InvalidOptions("parent_size must be larger than size. 父块长度必须大于分块长度。")
        return options


def _check_option(name: str, value: Any) -> None:
    names = [field.name for field in fields(ChunkOptions)]
    if name not in names:
        known = ", ".join(names)
        raise InvalidOptions(f"未知的分块选项，可用：{known}。Unknown option; known: {known}.")
    if name == "splitter" and not (isinstance(value, str) and value in SPLITTERS):
        known = ", ".join(SPLITTERS)
        raise InvalidOptions(f"未知的分块方式，可用：{known}。Unknown splitter; known: {known}.")
    if name in _OPTION_BOUNDS:
        least, most = _OPTION_BOUNDS[name]
        if type(value) is not int or not least <= value <= most:
            raise InvalidOptions(
                f"{name} 必须是 {least} 到 {most} 的整数。"
                f"{name} must be a whole number from {least} to {most}."
            )
    elif name != "splitter" and type(value) is not bool:
        raise InvalidOptions(f"{name} 必须是 true 或 false。{name} must be true or false.")


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """Whether text is read off pictures of it, and off how many pages of a file at most."""

    ocr: bool = True
    ocr_pages_max: int = 50


@dataclass(frozen=True, slots=True)
class CustomDoc:
    """A chunk, cut by the uploader or by a splitter.

    `content` is what is searched; `context` the text for the answer, where that is another one.
    """

    content: str
    metadata: dict[str, Any]
    context: str | None = None


@dataclass(frozen=True, slots=True)
class SplitPreview:
    """What a split would give: the first chunks, and how many and how long all of them are.

    Notes are sentences for its user on what was left out, such as damaged pages.
    """

    chunks: list[CustomDoc]
    total: int
    characters: int
    shortest: int
    median: int
    longest: int
    loader: str
    splitter: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cosine at distance 1 by kind of question; None: the model knows no such language."""

    chinese: float | None = 0.5
    other: float | None = 0.5


@dataclass(frozen=True, slots=True)
class KeptVector:
    """32-bit floats, little-endian; `is_cut` when the text was longer than the model reads."""

    vector: bytes
    is_cut: bool


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


FileState = Literal["queued", "running", "failed", "done", "stored"]


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file as its knowledge base's owner sees it; one that was stored only answers nothing.

    The state is that of its newest job; a first upload that failed is here until it is tried again,
    uploaded again or deleted. `reason` says why it failed, or what was left out.
    """

    name: str
    state: FileState
    reason: str
    job_id: int | None
    size: int
    chunks: int
    characters: int
    loader: str
    splitter: str
    custom_docs: bool
    upload_time: datetime | None
    owner_client: str
    owner_user: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What a search can be narrowed by beside a file's name; each of its points has a copy."""

    tags: tuple[str, ...] = ()
    uploaded: datetime | None = None

    def to_payload(self) -> dict[str, Any]:
        known = {"uploaded": int(self.uploaded.timestamp())} if self.uploaded else {}
        return {"tags": list(self.tags)} | known


@dataclass(frozen=True, slots=True)
class Tag:
    """How many files have it."""

    name: str
    files: int


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which passages are wanted; what is empty or None is not asked.

    Any of the files, any of the tags; bounds are included. Only what has pages is on one.
    """

    files: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    uploaded_after: datetime | None = None
    uploaded_before: datetime | None = None
    page_from: int | None = None
    page_to: int | None = None


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
    """What a file pointed to before, and contents that nothing points to any more.

    `overlays` are the indexes of edited chunks that answer no more.
    """

    version: str | None
    content_ids: frozenset[str] = frozenset()
    overlays: tuple[str, ...] = ()

    @property
    def versions(self) -> list[str]:
        return [version for version in (self.version, *self.overlays) if version]


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """What the search has to know about a version at start."""

    id: str
    kb_id: int
    collection: str
    chunks: int
    term_counts: bytes


@dataclass(frozen=True, slots=True)
class LateVersion:
    """Of a file's versions that went live last; `options` are what the file was cut with."""

    id: str
    kb_id: int
    file_name: str
    collection: str
    chunks: int
    options: ChunkOptions


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
    owner_client: str


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """What people say of a recommended question."""

    query: str
    kb_name: str | None = None
    answer: str | None = None
    enable: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question that may be offered."""

    id: int
    tap_count: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Heading:
    """A path of titles in a file, as `title` in the metadata of its chunks."""

    file_name: str
    title: str


@dataclass(slots=True)
class Missed:
    """A query that found nothing, how often and when last; not by whom."""

    query: str
    count: int
    last_time: datetime


@dataclass(slots=True)
class SearchCounts:
    """Searches of one knowledge base; by their keys the missed ones, and questions of chats."""

    last_search: datetime
    searches: int = 0
    misses: int = 0
    missed: dict[str, Missed] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Statistics:
    """A knowledge base in numbers; characters are those of its chunks, overlaps counted twice."""

    files: int
    chunks: int
    characters: int
    searches: int
    misses: int
    last_search: datetime | None
    missed: list[Missed]


JobKind = Literal["upload", "update", "recreate", "embed"]
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

    What users made of its chunks goes on in the new ones, unless the job discards their edits.

    `passages_id` names a content too: passages that a user cut, instead of the file's own text.

    `tags` are the file's from when the job is accepted; with None it keeps those that it has.
    """

    kb_id: int
    file_name: str
    kind: JobKind
    options: ChunkOptions
    parsing: ParseOptions
    owner: Owner
    content: Content | None = None
    passages_id: str | None = None
    discards_edits: bool = False
    tags: tuple[str, ...] | None = None


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
