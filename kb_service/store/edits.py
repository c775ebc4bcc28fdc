"""What several stores do with rows of edited chunks, inside their own transactions."""

import time
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.chunk_entities import ChunkEdit, EditPlan, Moved, Overlay
from kb_service.errors import EditsChanged
from kb_service.models import BUILDING, LIVE, RETIRED, ChunkEditRow, ChunkRevisionRow, VersionRow

_CHANGING = (
    *("anchor", "position", "is_added", "is_lost", "is_enabled", "is_deleted"),
    *("content", "context", "metadata", "number", "version"),
)
_RENAMED = {"metadata": "meta_data"}


def edit_of(row: ChunkEditRow) -> ChunkEdit:
    values = row.model_dump()
    return ChunkEdit(metadata=values.pop("meta_data"), **values)


def columns_of(edit: ChunkEdit) -> dict[str, Any]:
    """All that an edit may change of its row."""
    return {_RENAMED.get(name, name): getattr(edit, name) for name in _CHANGING}


async def edits_of(session: AsyncSession, kb_id: int, name: str) -> list[ChunkEditRow]:
    rows = select(ChunkEditRow).where(
        col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.file_name) == name
    )
    return list(await session.exec(rows.order_by(col(ChunkEditRow.id))))


async def carry_over(
    session: AsyncSession, kb_id: int, name: str, plan: EditPlan
) -> tuple[str, ...]:
    """Do as planned with a file's edits; gives the versions that answer no more.

    Raises EditsChanged when there are other edits by now than the plan was made for.
    """
    rows = {row.id: row for row in await edits_of(session, kb_id, name)}
    if {(row.id, row.number) for row in rows.values()} != plan.seen:
        raise EditsChanged
    if plan.discards:
        return await drop_edits(session, kb_id, name)
    gone = list[str]()
    for moved in plan.moved:
        gone += await _move(session, rows[moved.edit.id], moved)
    return tuple(gone)


async def drop_edits(session: AsyncSession, kb_id: int, name: str | None) -> tuple[str, ...]:
    """With their history; of the whole knowledge base without a name. Gives their versions."""
    chosen = [col(ChunkEditRow.kb_id) == kb_id]
    if name is not None:
        chosen.append(col(ChunkEditRow.file_name) == name)
    gone = await retire_edits(session, kb_id, name)
    ids = select(col(ChunkEditRow.id)).where(*chosen)
    await session.exec(delete(ChunkRevisionRow).where(col(ChunkRevisionRow.edit_id).in_(ids)))
    await session.exec(delete(ChunkEditRow).where(*chosen))
    return gone


async def retire_edits(session: AsyncSession, kb_id: int, name: str | None) -> tuple[str, ...]:
    """They answer no more, but are kept for when the file is indexed again."""
    chosen = [col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.version).is_not(None)]
    if name is not None:
        chosen.append(col(ChunkEditRow.file_name) == name)
    found = await session.exec(select(ChunkEditRow.version).where(*chosen))
    gone = tuple(version for version in found if version)
    for version in gone:
        await retire(session, version)
    await session.exec(update(ChunkEditRow).where(*chosen).values(version=None))
    return gone


async def retire(session: AsyncSession, version: str) -> None:
    old = update(VersionRow).where(col(VersionRow.id) == version)
    await session.exec(old.values(state=RETIRED, state_since=time.time()))


async def put_live(session: AsyncSession, overlay: Overlay) -> None:
    """Raises EditsChanged when it was cleaned away meanwhile."""
    flipped = await session.exec(
        update(VersionRow)
        .where(col(VersionRow.id) == overlay.version, col(VersionRow.state) == BUILDING)
        .values(state=LIVE, chunks=1, term_counts=overlay.packed_counts)
    )
    if not flipped.rowcount:
        raise EditsChanged


async def _move(session: AsyncSession, row: ChunkEditRow, moved: Moved) -> list[str]:
    before = row.version
    if moved.overlay:
        await put_live(session, moved.overlay)
    for name, value in columns_of(moved.edit).items():
        setattr(row, name, value)
    session.add(row)
    if before and before != row.version:
        await retire(session, before)
        return [before]
    return []
