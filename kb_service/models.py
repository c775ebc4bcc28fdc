"""The tables of kb.db."""

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

BUILDING, LIVE, RETIRED = "building", "live", "retired"
_MAYBE_JSON = JSON(none_as_null=True)


def now() -> datetime:
    return datetime.now(UTC)


class KnowledgeBaseRow(SQLModel, table=True):
    __tablename__ = "knowledge_base"
    # Ids are never given again: points of a removed one may still be in the index.
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    kb_name: str = Field(max_length=255, unique=True)
    kb_zh_name: str = Field(max_length=255)
    kb_info: str = Field(sa_column=Column(Text, nullable=False))
    vs_type: str = Field(max_length=50)
    embed_model: str = Field(max_length=255)
    owner_client: str = Field(max_length=64)
    create_time: datetime = Field(default_factory=now)
    visibility: str = Field(default="all", max_length=10)
    visible_clients: list[str] = Field(default=[], sa_type=JSON)
    visible_groups: list[str] = Field(default=[], sa_type=JSON)
    chunking: dict[str, Any] | None = Field(default=None, sa_type=_MAYBE_JSON)


class FileRow(SQLModel, table=True):
    __tablename__ = "knowledge_file"
    __table_args__ = (Index("ix_knowledge_file_name", "kb_id", "file_name", unique=True),)

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    file_name: str = Field(max_length=255)
    file_ext: str = Field(max_length=16)
    document_loader_name: str = Field(default="", max_length=50)
    text_splitter_name: str = Field(default="", max_length=50)
    file_version: int = 1
    file_mtime: float = 0
    file_size: int = 0
    custom_docs: bool = False
    docs_count: int = 0
    create_time: datetime = Field(default_factory=now)
    content_id: str = Field(max_length=32)
    listed: bool = True
    chunking: dict[str, Any] | None = Field(default=None, sa_type=_MAYBE_JSON)
    upload_time: datetime | None = None
    owner_client: str = Field(default="", max_length=64)
    owner_user: str = Field(default="", sa_column=Column(Text, nullable=False))
    live_version: str | None = Field(default=None, max_length=32)


class TagRow(SQLModel, table=True):
    """A file's tag; it goes with the file."""

    __tablename__ = "file_tag"

    file_id: int = Field(primary_key=True, foreign_key="knowledge_file.id", ondelete="CASCADE")
    tag: str = Field(primary_key=True, max_length=50)


class VersionRow(SQLModel, table=True):
    """An index of one content of one file; whatever is not live is cleaned at start.

    `tags` are those that its points have, for whoever finds out that the file has others by now.
    """

    __tablename__ = "index_version"

    id: str = Field(primary_key=True, max_length=32)
    kb_id: int = Field(index=True)
    collection: str = Field(max_length=255)
    state: str = Field(default=BUILDING, max_length=10)
    chunks: int = 0
    tags: list[str] | None = Field(default=None, sa_type=_MAYBE_JSON)
    term_counts: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    state_since: float = Field(default_factory=time.time)


class ChangeRow(SQLModel, table=True):
    """Something changed that every process of the service keeps of a knowledge base."""

    __tablename__ = "kb_change"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(index=True)
    time: float = Field(default_factory=time.time)


class ChunkRow(SQLModel, table=True):
    """A passage; together they are the truth that vectors are made from."""

    __tablename__ = "chunk"

    version: str = Field(primary_key=True, max_length=32)
    position: int = Field(primary_key=True)
    doc_id: str = Field(max_length=32)
    content: str = Field(sa_column=Column(Text, nullable=False))
    meta_data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    context: str | None = Field(default=None, sa_column=Column(Text))


class ChunkEditRow(SQLModel, table=True):
    """What a user made of a passage, or added; it outlives the index that it was made in.

    `anchor` is the passage of the file that it stands for (an added one: that it stands behind),
    at `position` of the live version unless it is lost. `version` is the index that answers for it.
    """

    __tablename__ = "chunk_edit"
    __table_args__ = (
        Index("ix_chunk_edit_file", "kb_id", "file_name"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    file_name: str = Field(max_length=255)
    anchor: str = Field(sa_column=Column(Text, nullable=False))
    position: int
    is_added: bool
    is_lost: bool = False
    is_enabled: bool = True
    is_deleted: bool = False
    content: str = Field(sa_column=Column(Text, nullable=False))
    context: str | None = Field(default=None, sa_column=Column(Text))
    meta_data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    number: int
    version: str | None = Field(default=None, max_length=32)


class ChunkRevisionRow(SQLModel, table=True):
    """One change of a passage: who made it, when, and what it was then."""

    __tablename__ = "chunk_revision"

    edit_id: int = Field(primary_key=True, foreign_key="chunk_edit.id")
    number: int = Field(primary_key=True)
    action: str = Field(max_length=10)
    content: str = Field(sa_column=Column(Text, nullable=False))
    is_enabled: bool
    client_id: str = Field(max_length=64)
    user_id: str = Field(sa_column=Column(Text, nullable=False))
    create_time: datetime = Field(default_factory=now)


class JobRow(SQLModel, table=True):
    """A file to index; at most one of a file's jobs runs, and they run in order."""

    __tablename__ = "ingest_job"
    __table_args__ = (
        Index("ix_ingest_job_queue", "state", "owner_client", "id"),
        Index("ix_ingest_job_file", "kb_id", "file_name"),
        Index("ix_ingest_job_turn", "owner_client", "lease_token"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    file_name: str = Field(max_length=255)
    kind: str = Field(max_length=10)
    content_id: str | None = Field(default=None, max_length=32)
    content_size: int = 0
    content_mtime: float = 0
    passages_id: str | None = Field(default=None, max_length=32)
    options: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    owner_client: str = Field(max_length=64)
    owner_user: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(default="queued", max_length=10)
    step: str = Field(default="", max_length=10)
    done: int = 0
    total: int | None = None
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    attempts: int = 0
    lease_token: int = Field(default=0, index=True)
    lease_until: float = 0
    version: str | None = Field(default=None, max_length=32)
    create_time: datetime = Field(default_factory=now)
    update_time: datetime = Field(default_factory=now)


class SourceRow(SQLModel, table=True):
    """A web page or sitemap that is fetched again on schedule; the row says when, and by whom."""

    __tablename__ = "source"
    __table_args__ = (
        Index("ix_source_url", "kb_id", "url", unique=True),
        Index("ix_source_due", "next_run"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    kind: str = Field(max_length=10)
    url: str = Field(max_length=2_000)
    interval_hours: int | None = None
    pages_max: int
    remove_after: int
    owner_client: str = Field(max_length=64)
    owner_user: str = Field(sa_column=Column(Text, nullable=False))
    is_removed: bool = False
    next_run: float | None = None
    lease_token: int = 0
    lease_until: float = 0
    last_run: datetime | None = None
    last_result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    create_time: datetime = Field(default_factory=now)


class PageRow(SQLModel, table=True):
    """An address of a source and the file that it became; without one, where a file is from."""

    __tablename__ = "source_page"
    __table_args__ = (
        Index("ix_source_page_url", "source_id", "url", unique=True),
        Index("ix_source_page_file", "kb_id", "file_name", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    source_id: int | None = Field(default=None, foreign_key="source.id")
    url: str = Field(max_length=2_000)
    file_name: str | None = Field(default=None, max_length=255)
    address: str = Field(default="", sa_column=Column(Text, nullable=False))
    title: str = Field(default="", max_length=255)
    etag: str = Field(default="", max_length=200)
    last_modified: str = Field(default="", max_length=100)
    digest: str = Field(default="", max_length=64)
    job_id: int | None = None
    state: str = Field(default="failed", max_length=10)
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    missing_runs: int = 0
    checked: datetime | None = None


class QuestionRow(SQLModel, table=True):
    __tablename__ = "question"

    id: int | None = Field(default=None, primary_key=True)
    query: str = Field(max_length=200)
    kb_name: str | None = Field(default=None, max_length=255, index=True)
    answer: str | None = Field(default=None, sa_column=Column(Text))
    tap_count: int = 0
    enable: bool = True
    create_time: datetime = Field(default_factory=now)
    owner_client: str = Field(max_length=64)
    match_key: str = Field(default="", max_length=32)


class SearchCountRow(SQLModel, table=True):
    """What was searched for in a knowledge base, and how often nothing was found."""

    __tablename__ = "search_count"

    kb_id: int = Field(primary_key=True, foreign_key="knowledge_base.id")
    searches: int = 0
    misses: int = 0
    last_search: datetime


class MissedQueryRow(SQLModel, table=True):
    """A query that found nothing; nobody is noted with it."""

    __tablename__ = "missed_query"

    kb_id: int = Field(primary_key=True, foreign_key="knowledge_base.id")
    match_key: str = Field(primary_key=True, max_length=32)
    query: str = Field(max_length=200)
    count: int = 0
    last_time: datetime


class EvalSetRow(SQLModel, table=True):
    """Questions whose right passages are known, to measure retrieval with."""

    __tablename__ = "eval_set"
    __table_args__ = (
        Index("ix_eval_set_name", "kb_id", "name", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    kb_id: int = Field(foreign_key="knowledge_base.id")
    name: str = Field(max_length=100)
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    create_time: datetime = Field(default_factory=now)


class EvalItemRow(SQLModel, table=True):
    """A question and what should be found for it: nothing at all if it `refuses`.

    One that says neither is not `judged`.
    """

    __tablename__ = "eval_item"
    __table_args__ = (
        Index("ix_eval_item_question", "set_id", "match_key", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    set_id: int = Field(foreign_key="eval_set.id")
    match_key: str = Field(max_length=32)
    question: str = Field(sa_column=Column(Text, nullable=False))
    files: list[str] = Field(default=[], sa_type=JSON)
    passages: list[str] = Field(default=[], sa_type=JSON)
    answer: str = Field(default="", sa_column=Column(Text, nullable=False))
    refuses: bool = False
    judged: bool
    note: str = Field(default="", sa_column=Column(Text, nullable=False))


class EvalRunRow(SQLModel, table=True):
    """All questions of a set asked once; whoever holds its lease asks them."""

    __tablename__ = "eval_run"
    __table_args__ = (
        Index("ix_eval_run_set", "set_id", "id"),
        Index("ix_eval_run_state", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    set_id: int = Field(foreign_key="eval_set.id")
    kb_id: int = Field(index=True)
    owner_client: str = Field(max_length=64)
    label: str = Field(default="", max_length=200)
    state: str = Field(default="queued", max_length=10)
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    options: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    circumstances: dict[str, Any] | None = Field(default=None, sa_type=_MAYBE_JSON)
    figures: dict[str, Any] | None = Field(default=None, sa_type=_MAYBE_JSON)
    done: int = 0
    total: int = 0
    lease_token: int = 0
    lease_until: float = 0
    create_time: datetime = Field(default_factory=now)
    start_time: datetime | None = None
    end_time: datetime | None = None


class EvalResultRow(SQLModel, table=True):
    """What a run found for one question, with the question and its expectations as they were."""

    __tablename__ = "eval_result"

    run_id: int = Field(primary_key=True, foreign_key="eval_run.id")
    position: int = Field(primary_key=True)
    match_key: str = Field(max_length=32)
    expected_key: str = Field(max_length=32)
    verdict: str = Field(max_length=10)
    rank: int | None = None
    ndcg: float = 0
    latency_ms: float
    found_count: int
    by_meaning: bool
    reranked: bool
    question: str = Field(sa_column=Column(Text, nullable=False))
    expected: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    found: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))


class EmbeddingRow(SQLModel, table=True):
    """The vector of a text, kept so that nobody pays twice; the key is made of model and text.

    `last_used` is a day, counted from 1970.
    """

    __tablename__ = "embedding"

    key: bytes = Field(sa_column=Column(LargeBinary(20), primary_key=True))
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    is_cut: bool
    last_used: int = Field(index=True)


class CollectionRow(SQLModel, table=True):
    """What is known of the dense vectors in a collection, so that a start needs no vendor."""

    __tablename__ = "vector_collection"

    name: str = Field(primary_key=True, max_length=255)
    dense_size: int
    calibration: dict[str, Any] | None = Field(default=None, sa_type=_MAYBE_JSON)


class MilestoneRow(SQLModel, table=True):
    """What was done once and must not be done again."""

    __tablename__ = "milestone"

    name: str = Field(primary_key=True, max_length=50)
    create_time: datetime = Field(default_factory=now)
