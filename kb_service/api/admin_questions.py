"""Recommended questions: for operators, and for the clients that own the knowledge bases."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile

from kb_service.api.dependencies import (
    ContextDep,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    RowId,
    WriterDep,
)
from kb_service.api.uploads import ManagementUploadRoute
from kb_service.management_schemas import (
    ChangeQuestion,
    Imported,
    NewQuestionBody,
    QuestionItem,
    Questions,
    Suggested,
    SuggestedItem,
)
from kb_service.questions import Filter

_TAG = "administration"
_PATH = "/admin/questions"
router = APIRouter(tags=[_TAG])
uploads = APIRouter(tags=[_TAG], route_class=ManagementUploadRoute)


@router.get(_PATH, summary="Questions that the caller may change, the newest first")
async def list_questions(
    context: ContextDep,
    caller: WriterDep,
    kb: Annotated[str | None, Query(max_length=1_000, description="empty: of free chat")] = None,
    enabled: bool | None = None,
    query: Annotated[str, Query(max_length=200, description="a part of them")] = "",
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> Questions:
    await context.tally.catch_up()
    wanted = Filter(kb, enabled, query)
    found = await context.questions.page(caller, wanted, page=page, page_size=page_size)
    items = [QuestionItem.of(question) for question in found.items]
    return Questions(items=items, total=found.total, page=page, page_size=page_size)


@router.post(_PATH, status_code=201, summary="Add a question")
async def add_question(
    body: NewQuestionBody, context: ContextDep, caller: WriterDep
) -> QuestionItem:
    return QuestionItem.of(await context.questions.add(caller, body.entity()))


@uploads.post(_PATH + "/import", summary="Add the questions of a table (csv, xlsx or jsonl)")
async def import_questions(
    context: ContextDep,
    caller: WriterDep,
    file: Annotated[UploadFile, File()],
    kb: Annotated[str, Form(max_length=1_000, description="empty: for free chat")] = "",
) -> Imported:
    lines = await context.question_import.run(caller, file.filename or "", file.file, kb or None)
    return Imported.of(lines)


@router.get(_PATH + "/{question_id}", summary="A question")
async def get_question(question_id: RowId, context: ContextDep, caller: WriterDep) -> QuestionItem:
    await context.tally.catch_up()
    return QuestionItem.of(await context.questions.find(caller, question_id))


@router.patch(_PATH + "/{question_id}", summary="Change, enable or disable a question")
async def change_question(
    question_id: RowId, body: ChangeQuestion, context: ContextDep, caller: WriterDep
) -> QuestionItem:
    changed = body.onto(await context.questions.find(caller, question_id))
    return QuestionItem.of(await context.questions.change(caller, question_id, changed))


@router.delete(_PATH + "/{question_id}", status_code=204, summary="Delete a question")
async def delete_question(question_id: RowId, context: ContextDep, caller: WriterDep) -> None:
    await context.questions.remove(caller, question_id)


@router.post(
    "/admin/knowledge-bases/{kb_name}/questions/suggest",
    summary="Questions that the headings of the files would answer; none is kept",
)
async def suggest_questions(
    kb_name: KnowledgeBaseName,
    context: ContextDep,
    caller: WriterDep,
    number: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Suggested:
    kb = context.library.writable(kb_name, caller)
    found = await context.questions.suggest(kb, number)
    return Suggested(items=[SuggestedItem.of(one) for one in found])
