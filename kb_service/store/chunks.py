"""Rows of chunks as people see them: those of the file, and what was made of them."""

from typing import Any, cast

from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.chunk_entities import (
    ChunkAction,
    ChunkEdit,
    ChunkPage,
    ChunkState,
    Overlay,
    Passage,
    Revision,
)
from kb_service.entities import Owner
from kb_service.errors import ChunkChanged, EditsChanged
from kb_service.models import ChunkEditRow, ChunkRevisionRow, ChunkRow, FileRow
from kb_service.store.changes import note_change
from kb_service.store.chunk_listing import chunk_of, hides, is_in_state, listing, version_of
from kb_service.store.edits import columns_of, edit_of, edits_of, put_live, retire
from servicekit.database import Database


class ChunkStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        kb_id: int,
        name: str,
        *,
        text: str,
        state: ChunkState | None,
        start: int,
        limit: int,
    ) -> ChunkPage:
        """In the order of the file; those whose text has `text` in it."""
        listed = listing(kb_id, name)
        chosen = [listed.c.content.icontains(text, autoescape=True)] if text else []
        if state:
            chosen.append(is_in_state(listed, state))
        order = (listed.c.position, listed.c.rank, listed.c.edit_id)
        rows: Any = sql_select(listed).where(*chosen).order_by(*order)
        total: Any = sql_select(func.count()).select_from(listed).where(*chosen)
        async with self._database.reading() as session:
            (number,) = (await session.exec(total)).one()
            found = await session.exec(rows.offset(start).limit(limit))
            return ChunkPage([chunk_of(row) for row in found], number)

    async def passage(self, version: str, position: int) -> Passage | None:
        async with self._database.reading() as session:
            row = await session.get(ChunkRow, (version, position))
        if row is None:
            return None
        return Passage(version, position, row.content, row.meta_data, row.context)

    async def edit(self, kb_id: int, name: str, edit_id: int) -> ChunkEdit | None:
        async with self._database.reading() as session:
            row = await session.get(ChunkEditRow, edit_id)
        is_theirs = row is not None and (row.kb_id, row.file_name) == (kb_id, name)
        return edit_of(row) if row and is_theirs else None

    async def edit_at(self, kb_id: int, name: str, position: int) -> ChunkEdit | None:
        """What stands for the file's own chunk there."""
        rows = select(ChunkEditRow).where(
            col(ChunkEditRow.kb_id) == kb_id,
            col(ChunkEditRow.file_name) == name,
            col(ChunkEditRow.position) == position,
            *hides(),
        )
        async with self._database.reading() as session:
            row = (await session.exec(rows)).first()
        return None if row is None else edit_of(row)

    async def edits(self, kb_id: int, name: str) -> list[ChunkEdit]:
        async with self._database.reading() as session:
            rows = select(ChunkEditRow).where(
                col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.file_name) == name
            )
            return [edit_of(row) for row in await session.exec(rows)]

    async def in_place(self) -> list[tuple[str, ChunkEdit]]:
        """All edits of files that answer, each with the version of its file."""
        rows = select(FileRow.live_version, ChunkEditRow).join(
            FileRow,
            (col(FileRow.kb_id) == col(ChunkEditRow.kb_id))
            & (col(FileRow.file_name) == col(ChunkEditRow.file_name)),
        )
        async with self._database.reading() as session:
            found = await session.exec(rows.where(col(FileRow.live_version).is_not(None)))
            return [(version, edit_of(row)) for version, row in found if version]

    async def change(
        self,
        edit: ChunkEdit,
        action: ChunkAction,
        author: Owner,
        *,
        base: str,
        overlay: Overlay | None,
    ) -> tuple[ChunkEdit, str | None]:
        """The next number of an edit, all or nothing, while the file is in version `base`.

        Gives it as it is stored, and the version that answers no more. Raises ChunkChanged.
        """
        async with self._database.transaction() as session:
            live = await session.exec(version_of(edit.kb_id, edit.file_name).with_for_update())
            if live.first() != base:
                raise ChunkChanged
            row = await _row(session, edit)
            before, row.number = row.version, row.number + 1
            for name, value in columns_of(edit).items():
                if name != "number":
                    setattr(row, name, value)
            row.version = overlay.version if overlay else None
            session.add(row)
            await session.flush()
            if overlay:
                await _put_live(session, overlay)
            if before:
                await retire(session, before)
            session.add(_revision(row, action, author))
            note_change(session, edit.kb_id)
            return edit_of(row), before

    async def history(self, edit: ChunkEdit) -> list[Revision]:
        """The first first."""
        rows = select(ChunkRevisionRow).where(col(ChunkRevisionRow.edit_id) == edit.id)
        async with self._database.reading() as session:
            found = list(await session.exec(rows.order_by(col(ChunkRevisionRow.number))))
        first = None if edit.is_added else edit.anchor
        befores = [first, *(row.content for row in found)]
        return [_entity(row, before) for row, before in zip(found, befores, strict=False)]


async def _row(session: AsyncSession, edit: ChunkEdit) -> ChunkEditRow:
    """The row to change. Raises ChunkChanged when somebody else was faster."""
    if edit.id is not None:
        row = await session.get(ChunkEditRow, edit.id, with_for_update=True)
        if row is None or row.number != edit.number:
            raise ChunkChanged
        return row
    if edit.hides:
        others = map(edit_of, await edits_of(session, edit.kb_id, edit.file_name))
        if any(other.hides and other.position == edit.position for other in others):
            raise ChunkChanged
    return ChunkEditRow(kb_id=edit.kb_id, file_name=edit.file_name, **columns_of(edit))


async def _put_live(session: AsyncSession, overlay: Overlay) -> None:
    try:
        await put_live(session, overlay)
    except EditsChanged:
        raise ChunkChanged from None


def _revision(row: ChunkEditRow, action: ChunkAction, author: Owner) -> ChunkRevisionRow:
    assert row.id is not None
    return ChunkRevisionRow(
        edit_id=row.id,
        number=row.number,
        action=action,
        content=row.content,
        is_enabled=row.is_enabled,
        client_id=author.client_id,
        user_id=author.user_id,
    )


def _entity(row: ChunkRevisionRow, before: str | None) -> Revision:
    return Revision(
        number=row.number,
        action=cast(ChunkAction, row.action),
        before=before,
        after=row.content,
        is_enabled=row.is_enabled,
        author=Owner(row.client_id, row.user_id),
        time=row.create_time,
    )
