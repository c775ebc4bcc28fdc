"""What several stores do with rows of jobs, inside their own transactions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from sqlalchemy import ColumnElement, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import (
    ChunkOptions,
    Content,
    Job,
    JobKind,
    JobState,
    JobStep,
    NewJob,
    Owner,
    ParseOptions,
)
from kb_service.models import FileRow, JobRow, now
from kb_service.names import extension_of

ACTIVE = ("queued", "running")
IDLE = ("failed", "cancelled")
NO_CONTENT = ""  # of a file whose first content is not indexed yet
GIVEN_UP = ""  # in the place of a content that the job had


def row_of(job: NewJob) -> JobRow:
    content = job.content
    return JobRow(
        kb_id=job.kb_id,
        file_name=job.file_name,
        kind=job.kind,
        content_id=content.id if content else None,
        content_size=content.size if content else 0,
        content_mtime=content.mtime if content else 0,
        passages_id=job.passages_id,
        options={
            "chunking": job.options.to_json(),
            "parsing": asdict(job.parsing),
            "discards_edits": job.discards_edits,
            "tags": job.tags,
        },
        owner_client=job.owner.client_id,
        owner_user=job.owner.user_id,
    )


def job_of(row: JobRow, kb_name: str) -> Job:
    assert row.id is not None
    content, tags = None, row.options.get("tags")
    if row.content_id:
        content = Content(row.content_id, row.content_size, row.content_mtime)
    return Job(
        kb_id=row.kb_id,
        file_name=row.file_name,
        kind=cast(JobKind, row.kind),
        options=ChunkOptions.from_json(row.options["chunking"]),
        parsing=ParseOptions(**row.options["parsing"]),
        discards_edits=row.options.get("discards_edits", False),
        tags=None if tags is None else tuple(tags),
        owner=Owner(row.owner_client, row.owner_user),
        content=content,
        passages_id=row.passages_id,
        id=row.id,
        kb_name=kb_name,
        state=cast(JobState, row.state),
        step=cast(JobStep, row.step),
        done=row.done,
        total=row.total,
        reason=row.reason,
        attempts=row.attempts,
        lease_token=row.lease_token,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
    )


async def stop_jobs(session: AsyncSession, kb_id: int, name: str, reason: str) -> bool:
    """Cancel what is queued or running for a file; False when there was nothing."""
    active = of_file(kb_id, name, ACTIVE)
    stopped = await session.exec(
        update(JobRow)
        .where(*active, col(JobRow.step) != "removing")
        .values(state="cancelled", step="", reason=reason, update_time=now())
    )
    return bool(stopped.rowcount)


async def give_up_contents(session: AsyncSession, kb_id: int, name: str) -> frozenset[str]:
    """Of jobs that could be tried again: no more, since the file has newer content or is gone.

    Gives the contents, which nothing points to from now on.
    """
    idle = of_file(kb_id, name, IDLE)
    columns = select(col(JobRow.content_id), col(JobRow.passages_id)).where(*idle)
    given_up = frozenset(one for pair in await session.exec(columns) for one in pair if one)
    had_content = update(JobRow).where(*idle, col(JobRow.content_id).is_not(None))
    await session.exec(had_content.values(content_id=GIVEN_UP))
    had_passages = update(JobRow).where(*idle, col(JobRow.passages_id).is_not(None))
    await session.exec(had_passages.values(passages_id=GIVEN_UP))
    return given_up


async def remove_placeholder(session: AsyncSession, kb_id: int, name: str) -> None:
    """The row of a file that never had content, once no job is left that could give it some."""
    if (await session.exec(select(col(JobRow.id)).where(*of_file(kb_id, name, ACTIVE)))).first():
        return
    await session.exec(
        delete(FileRow).where(
            col(FileRow.kb_id) == kb_id,
            col(FileRow.file_name) == name,
            col(FileRow.content_id) == NO_CONTENT,
        )
    )


def of_file(kb_id: int, name: str, states: Sequence[str]) -> list[ColumnElement[bool]]:
    return [
        col(JobRow.kb_id) == kb_id,
        col(JobRow.file_name) == name,
        col(JobRow.state).in_(states),
    ]


def new_file(kb_id: int, name: str) -> FileRow:
    return FileRow(
        kb_id=kb_id,
        file_name=name,
        file_ext=extension_of(name),
        file_version=0,
        content_id=NO_CONTENT,
        listed=False,
    )
