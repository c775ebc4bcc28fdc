"""What the management of web sources has on the wire, and what an import asks."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from kb_service.schemas import ListPage, UtcTime
from kb_service.source_entities import (
    Page,
    PageState,
    RunResult,
    Source,
    SourceKind,
    SourceOptions,
    SourceState,
)

Hours = Annotated[int, Field(ge=1, le=24 * 366)]
PagesMax = Annotated[int, Field(ge=1, le=10_000)]
Runs = Annotated[int, Field(ge=1, le=100)]


class NewSourceBody(BaseModel):
    """`interval_hours` null: it runs once now, and then when it is told to."""

    kind: SourceKind
    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    interval_hours: Hours | None = None
    pages_max: PagesMax = 500
    remove_after: Runs = 3

    def options(self) -> SourceOptions:
        return SourceOptions(self.interval_hours, self.pages_max, self.remove_after)


class SourceChanges(BaseModel):
    """What is not given stays."""

    interval_hours: Hours | None = None
    pages_max: PagesMax = 500
    remove_after: Runs = 3

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class ReasonItem(BaseModel):
    url: str
    reason: str


class RunResultItem(BaseModel):
    """`fault` says why a run ended early; `reasons` are of the first pages that gave nothing."""

    pages: int
    changed: int
    unchanged: int
    failed: int
    missing: int
    removed: int
    fault: str
    reasons: list[ReasonItem]

    @classmethod
    def of(cls, result: RunResult) -> "RunResultItem":
        return cls.model_validate(result, from_attributes=True)


class SourceItem(BaseModel):
    """While it runs, `last_result` is of this run so far."""

    id: int
    kind: SourceKind
    url: str
    interval_hours: int | None
    pages_max: int
    remove_after: int
    state: SourceState
    next_run: datetime | None
    last_run: UtcTime | None
    last_result: RunResultItem | None
    owner_client: str
    owner_user: str
    create_time: UtcTime

    @classmethod
    def of(cls, source: Source) -> "SourceItem":
        due = source.next_run
        result = source.last_result
        return cls(
            id=source.id,
            kind=source.kind,
            url=source.url,
            interval_hours=source.options.interval_hours,
            pages_max=source.options.pages_max,
            remove_after=source.options.remove_after,
            state=source.state,
            next_run=None if due is None else datetime.fromtimestamp(due, UTC),
            last_run=source.last_run,
            last_result=RunResultItem.of(result) if result else None,
            owner_client=source.owner.client_id,
            owner_user=source.owner.user_id,
            create_time=source.create_time,
        )


class SourceItems(ListPage):
    items: list[SourceItem]


class PageItem(BaseModel):
    """An address, the file that it became, and the job that indexed that last."""

    url: str
    file_name: str | None
    address: str
    title: str
    state: PageState
    reason: str
    missing_runs: int
    job_id: int | None
    checked: UtcTime | None

    @classmethod
    def of(cls, page: Page) -> "PageItem":
        return cls.model_validate(page, from_attributes=True)


class PageItems(ListPage):
    items: list[PageItem]


class FingerprintItem(BaseModel):
    name: Annotated[str, Field(max_length=1_000)]
    size: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FingerprintsBody(BaseModel):
    files: Annotated[list[FingerprintItem], Field(max_length=500)]


class KnownNames(BaseModel):
    known: list[str]
