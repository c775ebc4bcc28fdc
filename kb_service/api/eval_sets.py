"""Evaluation sets and their items: for operators and owner clients."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import StreamingResponse

from kb_service.api.dependencies import ContextDep, PageNumber, PageSize, RowId, WritableKbDep
from kb_service.api.uploads import ManagementUploadRoute
from kb_service.evaluation.sets import Existing, Given
from kb_service.evaluation_schemas import (
    ChangeItem,
    ChangeSet,
    EvalItem,
    EvalItems,
    ImportedItems,
    ItemBody,
    NewSet,
    SetItem,
    SetItems,
)

_PREFIX, _TAG = "/admin/knowledge-bases/{kb_name}/eval-sets", "evaluation"
router = APIRouter(prefix=_PREFIX, tags=[_TAG])
uploads = APIRouter(prefix=_PREFIX, tags=[_TAG], route_class=ManagementUploadRoute)


@router.get("", summary="Evaluation sets of a knowledge base by name, or the one called so")
async def list_sets(
    kb: WritableKbDep,
    context: ContextDep,
    name: Annotated[str | None, Query(max_length=100)] = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> SetItems:
    found, total = await context.eval_sets.page(kb, name=name, page=page, page_size=page_size)
    items = [SetItem.of(one) for one in found]
    return SetItems(items=items, total=total, page=page, page_size=page_size)


@router.post("", status_code=201, summary="Make an evaluation set")
async def add_set(body: NewSet, kb: WritableKbDep, context: ContextDep) -> SetItem:
    return SetItem.of(await context.eval_sets.add(kb, body.name, body.note))


@router.get("/{set_id}", summary="An evaluation set")
async def get_set(set_id: RowId, kb: WritableKbDep, context: ContextDep) -> SetItem:
    return SetItem.of(await context.eval_sets.find(kb, set_id))


@router.patch("/{set_id}", summary="Rename an evaluation set, or change its note")
async def change_set(
    set_id: RowId, body: ChangeSet, kb: WritableKbDep, context: ContextDep
) -> SetItem:
    return SetItem.of(await context.eval_sets.change(kb, set_id, body.given()))


@router.delete("/{set_id}", status_code=204, summary="Delete an evaluation set with its runs")
async def delete_set(set_id: RowId, kb: WritableKbDep, context: ContextDep) -> Response:
    await context.eval_sets.remove(kb, set_id)
    return Response(status_code=204)


@router.get("/{set_id}/items", summary="Questions of a set in the order that they were added")
async def list_items(
    set_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    query: Annotated[str, Query(max_length=200, description="a part of them")] = "",
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> EvalItems:
    found, total = await context.eval_sets.items(
        kb, set_id, text=query, page=page, page_size=page_size
    )
    items = [EvalItem.of(item) for item in found]
    return EvalItems(items=items, total=total, page=page, page_size=page_size)


@router.post("/{set_id}/items", status_code=201, summary="Add a question to a set")
async def add_item(
    set_id: RowId, body: ItemBody, kb: WritableKbDep, context: ContextDep
) -> EvalItem:
    return EvalItem.of(await context.eval_sets.add_item(kb, set_id, body.entity()))


@uploads.post("/{set_id}/items/import", summary="Add questions of a table, or in BEIR's format")
async def import_items(
    set_id: RowId,
    kb: WritableKbDep,
    context: ContextDep,
    file: Annotated[UploadFile, File(description="csv, tsv, xlsx or jsonl")],
    qrels: Annotated[UploadFile | None, File(description="tsv of BEIR")] = None,
    corpus: Annotated[UploadFile | None, File(description="jsonl of BEIR")] = None,
    existing: Annotated[Existing, Form()] = "replace",
) -> ImportedItems:
    table, relevant, texts = (
        Given(one.filename or "", one.file) if one else None for one in (file, qrels, corpus)
    )
    assert table is not None
    return ImportedItems.of(
        await context.eval_sets.take_in(
            kb, set_id, table, qrels=relevant, corpus=texts, existing=existing
        )
    )


@router.get(
    "/{set_id}/items/export",
    summary="The questions of a set as csv, which can be imported again",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
async def export_items(set_id: RowId, kb: WritableKbDep, context: ContextDep) -> Response:
    known = await context.eval_sets.find(kb, set_id)
    return StreamingResponse(
        context.eval_sets.export(known),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="eval-set-{known.id}.csv"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.get("/{set_id}/items/{item_id}", summary="A question of a set")
async def get_item(
    set_id: RowId, item_id: RowId, kb: WritableKbDep, context: ContextDep
) -> EvalItem:
    return EvalItem.of(await context.eval_sets.item(kb, set_id, item_id))


@router.patch("/{set_id}/items/{item_id}", summary="Change a question, or what it should find")
async def change_item(
    set_id: RowId, item_id: RowId, body: ChangeItem, kb: WritableKbDep, context: ContextDep
) -> EvalItem:
    changed = body.onto(await context.eval_sets.item(kb, set_id, item_id))
    return EvalItem.of(await context.eval_sets.change_item(kb, set_id, item_id, changed))


@router.delete("/{set_id}/items/{item_id}", status_code=204, summary="Delete a question of a set")
async def delete_item(
    set_id: RowId, item_id: RowId, kb: WritableKbDep, context: ContextDep
) -> Response:
    await context.eval_sets.remove_item(kb, set_id, item_id)
    return Response(status_code=204)
