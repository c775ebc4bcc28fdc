"""How many passages of files answer, and how long they are together."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.models import ChunkEditRow, ChunkRow, FileRow


@dataclass(slots=True)
class Size:
    chunks: int
    characters: int


async def sizes(
    session: AsyncSession, kb_id: int, names: Sequence[str] | None = None
) -> dict[str, Size]:
    """By file, those that answer anything; what users edited counts as it is now."""
    own = (
        select(FileRow.file_name, func.count(), func.sum(func.length(ChunkRow.content)))
        .join(ChunkRow, col(ChunkRow.version) == col(FileRow.live_version))
        .where(col(FileRow.kb_id) == kb_id)
        .group_by(col(FileRow.file_name))
    )
    edits = select(ChunkEditRow).where(
        col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.is_deleted).is_(False)
    )
    if names is not None:
        own = own.where(col(FileRow.file_name).in_(names))
        edits = edits.where(col(ChunkEditRow.file_name).in_(names))
    rows = (await session.exec(own)).all()
    found = {name: Size(chunks, characters) for name, chunks, characters in rows}
    for edit in await session.exec(edits):
        if size := found.get(edit.file_name):
            _apply(edit, size)
    return found


def _apply(edit: ChunkEditRow, size: Size) -> None:
    if edit.is_enabled:
        size.chunks += 1
        size.characters += len(edit.content)
    if not edit.is_added and not edit.is_lost:
        size.chunks -= 1
        size.characters -= len(edit.anchor)
