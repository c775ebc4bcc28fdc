"""One view of a file's chunks: its own that nothing stands for, and what users made and added."""

from typing import Any

from sqlalchemy import Boolean, Text, case, exists, false, literal, null, true, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy import select as sql_select
from sqlmodel import col, select

from kb_service.chunk_entities import Chunk, ChunkState
from kb_service.models import ChunkEditRow, ChunkRow, FileRow


def listing(kb_id: int, name: str) -> Any:
    """The file's own chunks that nothing stands for, and all edits that were not deleted."""
    of_file = [col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.file_name) == name]
    own = sql_select(
        col(ChunkRow.version),
        col(ChunkRow.position),
        literal(0).label("rank"),
        literal(0).label("edit_id"),
        col(ChunkRow.content),
        col(ChunkRow.context),
        col(ChunkRow.meta_data),
        sql_cast(null(), Text).label("anchor"),
        sql_cast(true(), Boolean).label("is_enabled"),
        sql_cast(false(), Boolean).label("is_added"),
        sql_cast(false(), Boolean).label("is_lost"),
    ).where(
        col(ChunkRow.version) == version_of(kb_id, name).scalar_subquery(),
        ~exists().where(*of_file, col(ChunkEditRow.position) == col(ChunkRow.position), *hides()),
    )
    is_beside = col(ChunkEditRow.is_added) | col(ChunkEditRow.is_lost)
    edits = sql_select(
        sql_cast(null(), Text),
        col(ChunkEditRow.position),
        case((is_beside, 1), else_=0),
        col(ChunkEditRow.id),
        col(ChunkEditRow.content),
        col(ChunkEditRow.context),
        col(ChunkEditRow.meta_data),
        col(ChunkEditRow.anchor),
        col(ChunkEditRow.is_enabled),
        col(ChunkEditRow.is_added),
        col(ChunkEditRow.is_lost),
    ).where(*of_file, col(ChunkEditRow.is_deleted).is_(False))
    return union_all(own, edits).subquery()


def is_in_state(listed: Any, state: ChunkState) -> Any:
    if state == "disabled":
        return ~listed.c.is_enabled
    is_beside = listed.c.is_added | listed.c.is_lost
    if state == "added":
        return listed.c.is_enabled & is_beside
    is_edited = (listed.c.edit_id != 0) & (listed.c.content != listed.c.anchor)
    return listed.c.is_enabled & ~is_beside & (is_edited if state == "edited" else ~is_edited)


def chunk_of(row: Any) -> Chunk:
    is_edit = row.edit_id != 0
    state: ChunkState = "enabled"
    if not row.is_enabled:
        state = "disabled"
    elif row.is_added or row.is_lost:
        state = "added"
    elif is_edit and row.content != row.anchor:
        state = "edited"
    return Chunk(
        id=f"e{row.edit_id}" if is_edit else f"{row.version}-{row.position}",
        position=row.position,
        content=row.content,
        context=row.context,
        metadata=row.meta_data,
        state=state,
        original=row.anchor if is_edit and not row.is_added else None,
    )


def version_of(kb_id: int, name: str) -> Any:
    return select(FileRow.live_version).where(
        col(FileRow.kb_id) == kb_id, col(FileRow.file_name) == name
    )


def hides() -> list[Any]:
    return [
        col(ChunkEditRow.is_added).is_(False),
        col(ChunkEditRow.is_lost).is_(False),
        col(ChunkEditRow.is_deleted).is_(False),
    ]
