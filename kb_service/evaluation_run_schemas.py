"""What is on the management wire about evaluation runs and their comparison."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from kb_service.evaluation.comparing import Direction, Outcome, in_words
from kb_service.evaluation.runs import ComparedQuestion, ComparisonPage
from kb_service.evaluation_entities import (
    Circumstances,
    Figures,
    Found,
    Result,
    Run,
    RunOptions,
    RunState,
    Verdict,
)
from kb_service.evaluation_schemas import Label
from kb_service.schemas import ListPage, SearchFilterBody, UtcTime


class RunBody(BaseModel):
    """hit@k is measured for k up to `top_k`, nDCG@10 from 10 on; `rerank` null: where a reranker is
    configured.
    """

    label: Label = ""
    top_k: Annotated[int, Field(ge=1, le=50)] = 10
    score_threshold: Annotated[float, Field(ge=0, le=2)] = 1.0
    filter: SearchFilterBody | None = None
    rerank: bool | None = None

    def options(self) -> RunOptions:
        wanted = self.filter.entity() if self.filter else None
        return RunOptions(self.top_k, self.score_threshold, wanted, self.rerank)


class OptionsItem(BaseModel):
    top_k: int
    score_threshold: float
    filter: SearchFilterBody | None = Field(validation_alias="wanted")
    rerank: bool | None


class RunItem(BaseModel):
    """`done` of `total` questions were asked; `reason` is why it failed."""

    id: int
    label: str
    state: RunState
    reason: str
    options: OptionsItem
    circumstances: Circumstances | None
    figures: Figures | None
    done: int
    total: int
    create_time: UtcTime
    start_time: UtcTime | None
    end_time: UtcTime | None

    @classmethod
    def of(cls, run: Run) -> "RunItem":
        return cls.model_validate(run, from_attributes=True)


class RunItems(ListPage):
    items: list[RunItem]


class FoundItem(BaseModel):
    """A found passage; its text is there for the first three and for the first right one."""

    chunk_id: str
    file_name: str
    score: float
    excerpt: str
    right: bool

    @classmethod
    def of(cls, found: Found) -> "FoundItem":
        return cls(
            chunk_id=found.chunk_id,
            file_name=found.file_name,
            score=found.score,
            excerpt=found.excerpt,
            right=found.is_right,
        )


class ResultItem(BaseModel):
    """`rank` is that of the first right passage."""

    question: str
    files: list[str]
    passages: list[str]
    answer: str
    refuse: bool
    verdict: Verdict
    rank: int | None
    ndcg: float
    latency_ms: float
    found: list[FoundItem]

    @classmethod
    def of(cls, result: Result) -> "ResultItem":
        outline, expected = result.outline, result.expected
        return cls(
            question=result.question,
            files=list(expected.files),
            passages=list(expected.passages),
            answer=expected.answer,
            refuse=expected.refuses,
            verdict=outline.verdict,
            rank=outline.rank,
            ndcg=outline.ndcg,
            latency_ms=outline.latency_ms,
            found=[FoundItem.of(one) for one in result.found],
        )


class ResultItems(ListPage):
    items: list[ResultItem]


class ComparedItem(BaseModel):
    """A question in both runs; null where one of them did not have it."""

    question: str
    outcome: Outcome
    before: ResultItem | None
    after: ResultItem | None

    @classmethod
    def of(cls, one: ComparedQuestion) -> "ComparedItem":
        sides = [side for side in (one.before, one.after) if side]
        return cls(
            question=sides[0].question,
            outcome=one.outcome,
            before=ResultItem.of(one.before) if one.before else None,
            after=ResultItem.of(one.after) if one.after else None,
        )


class Summary(BaseModel):
    zh: str
    en: str


class Difference(BaseModel):
    """One figure in both runs, over the questions that can be compared."""

    figure: str
    before: float | None
    after: float | None
    difference: float | None


class ComparisonItem(ListPage):
    """`chance` is how often pure chance brings so uneven a result (exact sign test).

    The questions that got worse come first, then those that got better, big changes first.
    """

    before: RunItem
    after: RunItem
    direction: Direction
    chance: float
    counts: dict[Literal["better", "worse", "same", "incomparable"], int]
    summary: Summary
    figures: list[Difference]
    changed: list[str]
    items: list[ComparedItem]

    @classmethod
    def of(cls, found: ComparisonPage, *, page: int, page_size: int) -> "ComparisonItem":
        comparison = found.comparison
        zh, en = in_words(comparison)
        return cls(
            before=RunItem.of(found.before),
            after=RunItem.of(found.after),
            direction=comparison.direction,
            chance=comparison.chance,
            counts=dict(comparison.counts),
            summary=Summary(zh=zh, en=en),
            figures=_differences(comparison.before, comparison.after),
            changed=_changed(found.before, found.after),
            items=[ComparedItem.of(one) for one in found.questions],
            total=found.total,
            page=page,
            page_size=page_size,
        )


def _differences(before: Figures, after: Figures) -> list[Difference]:
    olds, news = asdict(before), asdict(after)
    return [
        Difference(
            figure=name,
            before=old,
            after=news[name],
            difference=None if None in (old, news[name]) else round(news[name] - old, 4),
        )
        for name, old in olds.items()
    ]


def _changed(before: Run, after: Run) -> list[str]:
    """Names of the options and circumstances that are not the same."""
    sides = []
    for run in (before, after):
        around = asdict(run.circumstances) if run.circumstances else {}
        sides.append(RunItem.of(run).options.model_dump() | around)
    return [name for name, value in sides[0].items() if value != sides[1].get(name)]
