"""Rows of what evaluation runs found, question by question."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from kb_service.evaluation_entities import Found, Outline, Result, Run, Verdict
from kb_service.models import EvalResultRow
from kb_service.store.eval_sets import expectation_of
from servicekit.database import Database

# In the order of Outline's fields.
_OUTLINE = (
    *("position", "match_key", "expected_key", "verdict", "rank", "ndcg"),
    *("latency_ms", "found_count", "by_meaning", "reranked"),
)


class EvalResultStore:
    """Reads them; whoever holds a run writes them with it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, run_id: int, verdict: Verdict | None, *, start: int, limit: int
    ) -> tuple[list[Result], int]:
        """In the order of the set, and how many there are in all."""
        chosen = [col(EvalResultRow.run_id) == run_id]
        if verdict:
            chosen.append(col(EvalResultRow.verdict) == verdict)
        rows = select(EvalResultRow).where(*chosen).order_by(col(EvalResultRow.position))
        total = select(func.count()).select_from(EvalResultRow).where(*chosen)
        async with self._database.reading() as session:
            number = (await session.exec(total)).one()
            found = await session.exec(rows.offset(start).limit(limit))
            return [_result(row) for row in found], number

    async def at(self, run_id: int, positions: Sequence[int]) -> dict[int, Result]:
        rows = select(EvalResultRow).where(
            col(EvalResultRow.run_id) == run_id, col(EvalResultRow.position).in_(positions)
        )
        async with self._database.reading() as session:
            return {row.position: _result(row) for row in await session.exec(rows)}

    async def outlines(self, run_id: int) -> list[Outline]:
        columns = [getattr(EvalResultRow, name) for name in _OUTLINE]
        rows: Any = select(*columns).where(col(EvalResultRow.run_id) == run_id)
        async with self._database.reading() as session:
            found = await session.exec(rows.order_by(col(EvalResultRow.position)))
            return [Outline(*row) for row in found]


def result_row(run: Run, result: Result) -> dict[str, Any]:
    return asdict(result.outline) | {
        "run_id": run.id,
        "found_count": result.outline.found,
        "question": result.question,
        "expected": asdict(result.expected),
        "found": [asdict(one) for one in result.found],
    }


def _result(row: EvalResultRow) -> Result:
    outline = Outline(*(getattr(row, name) for name in _OUTLINE))
    found = tuple(Found(**one) for one in row.found)
    return Result(outline, row.question, expectation_of(row.expected), found)
