"""What is on the wire: the old one as its users know it, and the internal one."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    TypeAdapter,
    model_validator,
)

from kb_service.entities import (
    CustomDoc,
    Job,
    JobKind,
    JobState,
    JobStep,
    KnowledgeBase,
    Question,
    SearchFilter,
    Visibility,
    VisibilityKind,
)
from kb_service.names import LONGEST_TAG, normal_tag
from kb_service.search import Passage

Name = Annotated[str, Field(max_length=1_000, description="知识库名称")]
FileName = Annotated[str, Field(max_length=1_000)]
FileNames = Annotated[list[FileName], Field(max_length=10_000)]
Audience = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=1_000)
]
_DEEPEST = 32  # the vector engine writes what is deeper than about 127, and never reads it again


def _wire_time(time: datetime) -> str:
    """The server's local time to the second, without a zone: the H5 shows it as it comes."""
    local = time.replace(tzinfo=UTC).astimezone()
    return local.replace(tzinfo=None).isoformat(timespec="seconds")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


WireTime = Annotated[datetime, PlainSerializer(_wire_time, return_type=str)]
UtcTime = Annotated[datetime, AfterValidator(_utc)]


def _tag(text: str) -> str:
    tag = normal_tag(text)
    if not 1 <= len(tag) <= LONGEST_TAG or not tag.isprintable():
        longest = LONGEST_TAG
        raise ValueError(
            f"标签须为 1 到 {longest} 个可见字符。A tag has 1 to {longest} visible characters."
        )
    return tag


TagName = Annotated[str, AfterValidator(_tag)]
TagNames = Annotated[list[TagName], Field(max_length=20)]


class ListPage(BaseModel):
    """One page of a list."""

    total: int
    page: int
    page_size: int


class Envelope(BaseModel):
    """`data` is always there."""

    code: int = 200
    msg: str = "success"
    data: Any = None


class Names(Envelope):
    data: list[str] = []


class FailedFiles(BaseModel):
    failed_files: dict[str, str]


class FilesDone(Envelope):
    data: FailedFiles


class KnowledgeBaseItem(BaseModel):
    kb_name: str
    kb_zh_name: str
    kb_info: str
    vs_type: str
    embed_model: str
    file_count: int
    create_time: WireTime

    @classmethod
    def of(cls, kb: KnowledgeBase) -> "KnowledgeBaseItem":
        return cls(
            kb_name=kb.name,
            kb_zh_name=kb.zh_name,
            kb_info=kb.info,
            vs_type=kb.vs_type,
            embed_model=kb.embed_model,
            file_count=kb.file_count,
            create_time=kb.create_time,
        )


class KnowledgeBases(Envelope):
    data: list[KnowledgeBaseItem]


class CreateKnowledgeBase(BaseModel):
    knowledge_base_name: Name
    kb_zh_name: Annotated[str, Field(max_length=255)]
    kb_info: Annotated[str, Field(max_length=2_000)]
    vector_store_type: Annotated[str, Field(max_length=50)] = "faiss"
    embed_model: Annotated[str, Field(max_length=255)] = "m3e-base"


class UpdateInfo(BaseModel):
    knowledge_base_name: Name
    kb_info: Annotated[str, Field(max_length=2_000)]


class UpdateZhName(BaseModel):
    knowledge_base_name: Name
    kb_zh_name: Annotated[str, Field(max_length=255)]


class SearchFilterBody(BaseModel):
    """Which passages are wanted: of any of the files, with any of the tags, within the bounds."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[list[FileName], Field(max_length=100)] = []
    tags: Annotated[list[TagName], Field(max_length=100)] = []
    uploaded_after: UtcTime | None = None
    uploaded_before: UtcTime | None = None
    page_from: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    page_to: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    def entity(self) -> SearchFilter:
        given = self.model_dump(exclude={"files", "tags"})
        return SearchFilter(files=tuple(self.files), tags=tuple(self.tags), **given)


class SearchDocs(BaseModel):
    query: Annotated[str, Field(max_length=10_000)]
    knowledge_base_name: Name
    top_k: Annotated[int, Field(ge=0, le=1_000)] = 3
    score_threshold: Annotated[float, Field(ge=0, le=2)] = 1
    filter: SearchFilterBody | None = None

    @property
    def wanted(self) -> SearchFilter | None:
        return self.filter.entity() if self.filter else None


class FoundDocument(BaseModel):
    page_content: str
    metadata: dict[str, Any]
    type: str = "Document"
    score: float

    @classmethod
    def of(cls, passage: Passage) -> "FoundDocument":
        named = {"source": passage.file_name}
        return cls(
            page_content=passage.content,
            metadata=named | passage.metadata | named,
            score=passage.score,
        )


class DeleteDocs(BaseModel):
    knowledge_base_name: Name
    file_names: FileNames
    delete_content: bool = False
    not_refresh_vs_cache: bool = False


class Chunking(BaseModel):
    """None is what is configured: 250 and 50 unless changed."""

    chunk_size: Annotated[int | None, Field(ge=1, le=10_000)] = None
    chunk_overlap: Annotated[int | None, Field(ge=0, le=10_000)] = None
    zh_title_enhance: bool = False


class UpdateDocs(Chunking):
    knowledge_base_name: Name
    file_names: FileNames
    override_custom_docs: bool = False
    docs: Json[dict[str, Any]] = {}
    not_refresh_vs_cache: bool = False


class RecreateVectorStore(Chunking):
    knowledge_base_name: Name
    allow_empty_kb: bool = True
    vs_type: Annotated[str, Field(max_length=50)] = "faiss"
    embed_model: Annotated[str, Field(max_length=255)] = "m3e-base"
    not_refresh_vs_cache: bool = False


class SaveQuestion(BaseModel):
    question_id: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    query: Annotated[str, Field(min_length=1, max_length=200)]
    kb_name: Annotated[str | None, Field(max_length=255)] = None


class QuestionItem(BaseModel):
    id: int
    query: str
    kb_name: str | None
    answer: str | None
    tap_count: int
    enable: bool
    create_time: WireTime

    @classmethod
    def of(cls, question: Question) -> "QuestionItem":
        return cls.model_validate(question, from_attributes=True)


class Questions(Envelope):
    data: list[QuestionItem]


class EmbedTexts(BaseModel):
    texts: Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(max_length=256)]
    embed_model: Annotated[str, Field(max_length=255)] = "m3e-base"
    to_query: bool = False


class Vectors(Envelope):
    data: list[list[float]]


class VisibilityBody(BaseModel):
    """Management: who is shown a knowledge base, beside its owner client and operators."""

    visibility: VisibilityKind
    clients: Audience = []
    groups: Audience = []

    @model_validator(mode="after")
    def _says_one_thing(self) -> "VisibilityBody":
        """A list that would not count is a misunderstanding, and might open what it should not."""
        if self.visibility == "all" and self.clients:
            raise ValueError("visible to all: name no clients. 对所有客户端可见时不能指定客户端。")
        if self.visibility != "groups" and self.groups:
            raise ValueError("groups count for visibility groups. 仅按分组可见时可以指定分组。")
        if self.visibility == "groups" and not (self.clients and self.groups):
            raise ValueError(
                "name the groups and the clients whose groups they are. 请指定分组及其所属客户端。"
            )
        return self

    @classmethod
    def of(cls, visibility: Visibility) -> "VisibilityBody":
        return cls(
            visibility=visibility.kind,
            clients=sorted(visibility.clients),
            groups=sorted(visibility.groups),
        )

    def entity(self) -> Visibility:
        return Visibility(self.visibility, frozenset(self.clients), frozenset(self.groups))


class ManagedKnowledgeBase(BaseModel):
    """Management."""

    name: str
    zh_name: str
    info: str
    embed_model: str
    owner_client: str
    create_time: UtcTime
    visibility: VisibilityKind
    clients: list[str]
    groups: list[str]

    @classmethod
    def of(cls, kb: KnowledgeBase) -> "ManagedKnowledgeBase":
        shown_to = VisibilityBody.of(kb.visibility).model_dump()
        return cls(
            name=kb.name,
            zh_name=kb.zh_name,
            info=kb.info,
            embed_model=kb.embed_model,
            owner_client=kb.owner_client,
            create_time=kb.create_time,
            **shown_to,
        )


class ManagedKnowledgeBases(ListPage):
    items: list[ManagedKnowledgeBase]


class JobItem(BaseModel):
    """Management: `done` of `total` are pages, or chunks; `total` is null until it is known.

    `reason` says why it failed or was cancelled, or what was left out of a file that is done.
    """

    id: int
    knowledge_base: str
    file_name: str
    kind: JobKind
    state: JobState
    step: JobStep
    done: int
    total: int | None
    reason: str
    attempts: int
    owner_client: str
    owner_user: str
    create_time: UtcTime
    update_time: UtcTime

    @classmethod
    def of(cls, job: Job) -> "JobItem":
        return cls(
            id=job.id,
            knowledge_base=job.kb_name,
            file_name=job.file_name,
            kind=job.kind,
            state=job.state,
            step=job.step,
            done=job.done,
            total=job.total,
            reason=job.reason,
            attempts=job.attempts,
            owner_client=job.owner.client_id,
            owner_user=job.owner.user_id,
            create_time=job.create_time,
            update_time=job.update_time,
        )


class Jobs(ListPage):
    items: list[JobItem]


class AcceptedFiles(BaseModel):
    """Management: the jobs of what was taken, and of what was refused the reason by its name."""

    jobs: list[JobItem]
    refused: dict[str, str]


class KnowledgeBaseFound(BaseModel):
    """Internal."""

    knowledge_base_name: str
    kb_zh_name: str


class PassageItem(BaseModel):
    """Internal."""

    chunk_id: str
    file_name: str
    content: str
    score: float
    metadata: dict[str, Any]

    @classmethod
    def of(cls, passage: Passage) -> "PassageItem":
        return cls.model_validate(passage, from_attributes=True)


class Passages(BaseModel):
    """Internal."""

    passages: list[PassageItem]


class ReadDocument(BaseModel):
    """Internal: `start` and `count` are chunks."""

    knowledge_base_name: Name
    file_name: FileName
    start: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    count: Annotated[int, Field(ge=1, le=200)] = 50


class DocumentText(BaseModel):
    """Internal: a part of a document; `next` is the chunk to read on from, null at the end."""

    text: str
    next: int | None


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        orjson.dumps(metadata)
    except TypeError:
        raise ValueError("cannot be stored as JSON") from None
    if _depth(metadata) > _DEEPEST:
        raise ValueError(f"is nested more than {_DEEPEST} levels deep")
    return metadata


def _depth(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth, inner), default=0)
    return 0


class _CustomDoc(BaseModel):
    page_content: Annotated[str, Field(max_length=20_000)]
    metadata: Annotated[dict[str, Any], AfterValidator(_storable)] = {}


_CUSTOM_DOCS = TypeAdapter(list[_CustomDoc])


def custom_docs(value: Any) -> list[CustomDoc]:
    """The passages that an uploader cut. Raises ValidationError."""
    return [
        CustomDoc(doc.page_content, doc.metadata) for doc in _CUSTOM_DOCS.validate_python(value)
    ]


def stream_chunk(content: dict[str, Any]) -> str:
    """One bare object as the old wire streams it; clients that cut at `}{` must not cut in it."""
    return json.dumps(content, ensure_ascii=False).replace("}{", "}\\u007b")
