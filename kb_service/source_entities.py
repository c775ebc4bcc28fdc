"""What the use cases of web sources speak of."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kb_service.entities import Owner

SourceKind = Literal["page", "sitemap"]
SourceState = Literal["idle", "running", "removing"]
PageState = Literal["indexed", "failed", "missing", "refused"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a user may choose; no interval means that it only runs when somebody says so.

    A page that is missing for `remove_after` runs in a row is removed.
    """

    interval_hours: int | None = None
    pages_max: int = 500
    remove_after: int = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one address gave nothing."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to; `fault` is why it ended early, empty when it did not."""

    pages: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    missing: int = 0
    removed: int = 0
    fault: str = ""
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NewSource:
    kb_id: int
    kind: SourceKind
    url: str
    options: SourceOptions
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(NewSource):
    """A source as its row says; `lease_token` tells the runs of it apart."""

    id: int
    state: SourceState
    next_run: float | None
    lease_token: int
    last_run: datetime | None
    last_result: RunResult | None
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """An address of a source, and the file that it became, if it did.

    `address` is where its redirects led; the validators and the digest are of what was indexed.
    """

    url: str
    file_name: str | None = None
    address: str = ""
    title: str = ""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    job_id: int | None = None
    state: PageState = "failed"
    reason: str = ""
    missing_runs: int = 0
    checked: datetime | None = None
