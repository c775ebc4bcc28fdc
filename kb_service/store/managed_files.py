"""Files of a knowledge base with what their jobs say of them, in pages."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, exists, func, literal, or_, select, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col

from kb_service.entities import FileState, ManagedFile
from kb_service.models import FileRow, JobRow, TagRow
from kb_service.store.job_rows import GIVEN_UP, NO_CONTENT
from kb_service.store.labels import tags_of
from kb_service.store.sizes import Size, sizes
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some of many."""

    items: list[ManagedFile]
    total: int


class ManagedFileStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        kb_id: int,
        *,
        name: str,
        state: FileState | None,
        tag: str | None,
        start: int,
        limit: int,
    ) -> FilePage:
        """By name; `name` is a part of those that are wanted."""
        files = union_all(_known(kb_id), _failed_at_first(kb_id)).subquery()
        wanted: Any = select(files)
        if name:
            wanted = wanted.where(files.c.name.icontains(name, autoescape=True))
        if state:
            wanted = wanted.where(files.c.state == state)
        if tag is not None:
            wanted = wanted.where(files.c.name.in_(_tagged(kb_id, tag)))
        count: Any = select(func.count()).select_from(wanted.subquery())
        async with self._database.reading() as session:
            (total,) = (await session.exec(count)).one()
            page = wanted.order_by(files.c.name).offset(start).limit(limit)
            rows = [dict(row._mapping) for row in await session.exec(page)]
            names = [row["name"] for row in rows]
            known = await sizes(session, kb_id, names)
            tags = await tags_of(session, kb_id, names)
        none = Size(0, 0)
        return FilePage(
            [_file(row, known.get(row["name"], none), tags.get(row["name"], ())) for row in rows],
            total,
        )


def _file(row: dict[str, Any], size: Size, tags: tuple[str, ...]) -> ManagedFile:
    return ManagedFile(chunks=size.chunks, characters=size.characters, tags=tags, **row)


def _tagged(kb_id: int, tag: str) -> Select[Any]:
    return (
        select(col(FileRow.file_name))
        .join(TagRow, col(TagRow.file_id) == col(FileRow.id))
        .where(col(FileRow.kb_id) == kb_id, col(TagRow.tag) == tag)
    )


def _newest_job(kb_id: int, name: Any) -> Any:
    """Of a file the last thing that was wished for."""
    job = aliased(JobRow)
    of_file = (col(job.kb_id) == kb_id, col(job.file_name) == name)
    return select(func.max(job.id)).where(*of_file).scalar_subquery()


def _known(kb_id: int) -> Select[Any]:
    """Listed ones, and those whose first content is on its way."""
    job: Any = JobRow
    state = case(
        (job.state.in_(("queued", "running")), job.state),
        (_has_failed(job), literal("failed")),
        (col(FileRow.live_version).is_(None), literal("stored")),
        else_=literal("done"),
    )
    is_new = col(FileRow.content_id) == NO_CONTENT
    is_told = or_(_has_failed(job), job.state == "done")
    columns = select(
        col(FileRow.file_name).label("name"),
        state.label("state"),
        case((is_told, job.reason), else_=literal("")).label("reason"),
        job.id.label("job_id"),
        case((is_new, job.content_size), else_=FileRow.file_size).label("size"),
        col(FileRow.document_loader_name).label("loader"),
        col(FileRow.text_splitter_name).label("splitter"),
        col(FileRow.custom_docs).label("custom_docs"),
        case((is_new, job.create_time), else_=FileRow.upload_time).label("upload_time"),
        case((is_new, job.owner_client), else_=FileRow.owner_client).label("owner_client"),
        case((is_new, job.owner_user), else_=FileRow.owner_user).label("owner_user"),
    )
    return columns.outerjoin(job, job.id == _newest_job(kb_id, FileRow.file_name)).where(
        col(FileRow.kb_id) == kb_id,
        or_(col(FileRow.listed), col(FileRow.content_id) == NO_CONTENT),
    )


def _failed_at_first(kb_id: int) -> Select[Any]:
    """Uploads that became no file, as long as they can be tried again."""
    job: Any = JobRow
    same = and_(col(FileRow.kb_id) == kb_id, col(FileRow.file_name) == job.file_name)
    return select(
        job.file_name.label("name"),
        literal("failed").label("state"),
        job.reason.label("reason"),
        job.id.label("job_id"),
        job.content_size.label("size"),
        literal("").label("loader"),
        literal("").label("splitter"),
        literal(False).label("custom_docs"),
        job.create_time.label("upload_time"),
        job.owner_client.label("owner_client"),
        job.owner_user.label("owner_user"),
    ).where(
        *(job.kb_id == kb_id, job.id == _newest_job(kb_id, job.file_name)),
        *(_has_failed(job), job.content_id.is_not(None), ~exists().where(same)),
    )


def _has_failed(job: Any) -> Any:
    """And is not over and done with, by newer content or a deletion."""
    given_up = (
        func.coalesce(job.content_id, "-") == GIVEN_UP,
        func.coalesce(job.passages_id, "-") == GIVEN_UP,
    )
    return and_(job.state == "failed", ~or_(*given_up))
