"""Files to index without waiting, and what becomes of them: for operators and owner clients."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, File, Form, Header, Query, Response, UploadFile
from fastapi.responses import StreamingResponse

from kb_service.api.dependencies import (
    ContextDep,
    KnowledgeBaseName,
    PageNumber,
    PageSize,
    RowId,
    SplitFormDep,
    WriterDep,
    chunk_options,
    chunking_of,
    owner_of,
)
from kb_service.api.uploads import ManagementUploadRoute
from kb_service.context import Context
from kb_service.entities import Job, JobState
from kb_service.ingest import Upload, Wishes
from kb_service.management_schemas import FormTags
from kb_service.schemas import AcceptedFiles, JobItem, Jobs
from servicekit.identity import Caller

_TAG = "administration"
router = APIRouter(prefix="/admin/jobs", tags=[_TAG])
uploads = APIRouter(prefix="/admin/knowledge-bases", tags=[_TAG], route_class=ManagementUploadRoute)

_STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
_TAGS = "逗号分隔或重复此字段；不填则保留原有标签。Separated by commas, or the field repeated."
_LIFE_SIGN_AFTER = 15  # looks at a job that has not changed, about a second each


@uploads.post(
    "/{kb_name}/files",
    status_code=202,
    summary="Upload files with their tags, to be indexed as jobs",
)
async def upload_files(
    kb_name: KnowledgeBaseName,
    context: ContextDep,
    caller: WriterDep,
    files: Annotated[list[UploadFile], File()],
    split: SplitFormDep,
    override: Annotated[bool, Form()] = False,
    discard_edits: Annotated[bool, Form()] = False,
    tags: Annotated[FormTags, Form(description=_TAGS)] = None,
) -> AcceptedFiles:
    kb = context.library.writable(kb_name, caller)
    options = chunk_options(chunking_of(context, kb), split.asked())
    wishes = Wishes(
        options,
        owner_of(caller),
        split.parsing(),
        discards_edits=discard_edits,
        tags=None if tags is None else tuple(sorted(set(tags))),
    )
    given = [Upload(file.filename or "", file.size or 0, file.file) for file in files]
    accepted = await context.ingest.upload(kb, given, {}, wishes, override=override)
    jobs = await context.queue.ended(accepted.jobs, 0)
    return AcceptedFiles(jobs=[JobItem.of(job) for job in jobs], refused=accepted.failed)


@router.get("", summary="Jobs of knowledge bases that the caller may write, the newest first")
async def list_jobs(
    context: ContextDep,
    caller: WriterDep,
    kb: Annotated[str | None, Query(max_length=1_000)] = None,
    state: JobState | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
) -> Jobs:
    chosen = {context.library.writable(kb, caller).id} if kb else _writable(context, caller)
    found = await context.queue.page(list(chosen), state, page=page, page_size=page_size)
    items = [JobItem.of(job) for job in found.jobs]
    return Jobs(items=items, total=found.total, page=page, page_size=page_size)


@router.get("/{job_id}", summary="A job")
async def get_job(job_id: RowId, context: ContextDep, caller: WriterDep) -> JobItem:
    return JobItem.of(await context.queue.find(job_id, _writable(context, caller)))


@router.get(
    "/{job_id}/events",
    summary="A job whenever it changes, until it is over, as server-sent events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}},
        204: {"description": "Seen to its end"},
    },
)
async def job_events(
    job_id: RowId,
    context: ContextDep,
    caller: WriterDep,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    job = await context.queue.find(job_id, _writable(context, caller))
    if job.is_over and last_event_id == _event_id(job):
        return Response(status_code=204)  # an EventSource that gets this stops asking
    events = _events(context, job)
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM_HEADERS)


@router.post("/{job_id}/cancel", summary="Call a job off; one that runs stops and cleans up")
async def cancel_job(job_id: RowId, context: ContextDep, caller: WriterDep) -> JobItem:
    job = await context.queue.find(job_id, _writable(context, caller))
    return JobItem.of(await context.queue.cancel(job))


@router.post("/{job_id}/retry", summary="Try a failed or cancelled job again")
async def retry_job(job_id: RowId, context: ContextDep, caller: WriterDep) -> JobItem:
    job = await context.queue.find(job_id, _writable(context, caller))
    return JobItem.of(await context.queue.retry(job))


def _writable(context: Context, caller: Caller) -> set[int]:
    return {kb.id for kb in context.library.all_writable(caller)}


async def _events(context: Context, job: Job) -> AsyncIterator[str]:
    quiet = 0
    async with aclosing(context.queue.follow(job)) as changes:
        async for changed in changes:
            quiet = 0 if changed else quiet + 1
            if changed:
                data = JobItem.of(changed).model_dump_json()
                yield f"id: {_event_id(changed)}\nevent: job\ndata: {data}\n\n"
            elif quiet % _LIFE_SIGN_AFTER == 0:
                yield ": still there\n\n"


def _event_id(job: Job) -> str:
    return f"{job.lease_token}-{job.state}-{job.done}"
