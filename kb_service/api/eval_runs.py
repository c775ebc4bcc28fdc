"""Evaluation runs and what came out: for operators and owner clients."""

from fastapi import APIRouter, Response

from kb_service.api.dependencies import ContextDep, PageNumber, PageSize, RowId, WritableKbDep
from kb_service.evaluation.comparing import Outcome
from kb_service.evaluation_entities import Verdict
from kb_service.evaluation_run_schemas import (
    ComparisonItem,
    ResultItem,
    ResultItems,
    RunBody,
    RunItem,
    RunItems,
)

router = APIRouter(
    prefix="/admin/knowledge-bases/{kb_name}/eval-sets/{set_id}/runs", tags=["evaluation"]
)


@router.get("", summary="Runs of a set, the newest first; the newest 50 are kept")
async def list_runs(
    set_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> RunItems:
    found, total = await context.eval_runs.page(kb, set_id, page=page, page_size=page_size)
    items = [RunItem.of(run) for run in found]
    return RunItems(items=items, total=total, page=page, page_size=page_size)


@router.post("", status_code=202, summary="Ask all questions of a set, in the background")
async def start_run(
    set_id: RowId, body: RunBody, kb: WritableKbDep, context: ContextDep
) -> RunItem:
    return RunItem.of(await context.eval_runs.start(kb, set_id, body.label, body.options()))


@router.get("/{run_id}", summary="A run: how far it is, or its figures")
async def get_run(set_id: RowId, run_id: RowId, kb: WritableKbDep, context: ContextDep) -> RunItem:
    return RunItem.of(await context.eval_runs.find(kb, set_id, run_id))


@router.post("/{run_id}/cancel", summary="Call a run off; what it found until then stays")
async def cancel_run(
    set_id: RowId, run_id: RowId, kb: WritableKbDep, context: ContextDep
) -> RunItem:
    return RunItem.of(await context.eval_runs.cancel(kb, set_id, run_id))


@router.delete("/{run_id}", status_code=204, summary="Delete a run")
async def delete_run(
    set_id: RowId, run_id: RowId, kb: WritableKbDep, context: ContextDep
) -> Response:
    await context.eval_runs.remove(kb, set_id, run_id)
    return Response(status_code=204)


@router.get("/{run_id}/results", summary="What a run found, question by question")
async def list_results(
    set_id: RowId,
    run_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    verdict: Verdict | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> ResultItems:
    found, total = await context.eval_runs.results(
        kb, set_id, run_id, verdict, page=page, page_size=page_size
    )
    items = [ResultItem.of(result) for result in found]
    return ResultItems(items=items, total=total, page=page, page_size=page_size)


@router.get(
    "/{run_id}/compare/{other_id}",
    summary="Did it help? Two runs side by side, question by question",
)
async def compare_runs(
    set_id: RowId,
    run_id: RowId,
    other_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    outcome: Outcome | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> ComparisonItem:
    found = await context.eval_runs.compare(
        kb, set_id, (run_id, other_id), outcome, page=page, page_size=page_size
    )
    return ComparisonItem.of(found, page=page, page_size=page_size)
