"""Rows of files, and the flip that puts a finished version in the place of the old one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import ChunkOptions, Content, NewVersion, Replaced, StoredFile
from kb_service.errors import Superseded
from kb_service.models import BUILDING, LIVE, RETIRED, FileRow, VersionRow
from kb_service.names import extension_of
from servicekit.database import Database


class FileStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, kb_id: int, name: str) -> StoredFile | None:
        """Also one that is no longer listed."""
        async with self._database.reading() as session:
            row = await _find(session, kb_id, name)
            return None if row is None else _entity(row)

    async def listed(self, kb_id: int) -> list[StoredFile]:
        rows = (
            select(FileRow)
            .where(col(FileRow.kb_id) == kb_id, col(FileRow.listed))
            .order_by(col(FileRow.id))
        )
        async with self._database.reading() as session:
            return [_entity(row) for row in await session.exec(rows)]

    async def content_ids(self) -> set[str]:
        async with self._database.reading() as session:
            return set(await session.exec(select(col(FileRow.content_id))))

    async def put(
        self, kb_id: int, name: str, content: Content, *, expected_content: str | None
    ) -> Replaced:
        """Point the file to new content and leave its index alone. Raises Superseded."""
        async with self._writing() as session:
            row, replaced = await _expect(session, kb_id, name, expected_content)
            _fill(row, content)
            # What is live was not made from this content: a rebuild must read the file.
            row.chunk_size = row.chunk_overlap = None
            row.custom_docs = False
            session.add(row)
        return Replaced(None, replaced.content_id)

    async def go_live(self, new: NewVersion) -> Replaced:
        """Flip the file to a finished version, all or nothing. Raises Superseded."""
        async with self._writing() as session:
            row, replaced = await _expect(session, new.kb_id, new.file_name, new.expected_content)
            flipped = await session.exec(
                update(VersionRow)
                .where(col(VersionRow.id) == new.id, col(VersionRow.state) == BUILDING)
                .values(state=LIVE, chunks=new.chunks, term_counts=new.term_counts)
            )
            if not flipped.rowcount:
                raise Superseded
            _fill(row, new.content)
            row.document_loader_name = new.loader or row.document_loader_name
            row.text_splitter_name = new.splitter or row.text_splitter_name
            row.custom_docs, row.docs_count = new.custom_docs, new.chunks
            row.chunk_size, row.chunk_overlap = new.options.size, new.options.overlap
            row.zh_title_enhance = new.options.zh_title_enhance
            row.live_version = new.id
            session.add(row)
            await _retire(session, replaced.version)
        return replaced

    async def take_out(self, file: StoredFile, *, keep_content: bool) -> Replaced:
        """Remove the row, or only take it off the list, so that it can be indexed again."""
        async with self._database.transaction() as session:
            row = await session.get(FileRow, file.id)
            if row is None:
                return Replaced(None, None)
            gone = Replaced(row.live_version, None if keep_content else row.content_id)
            await _retire(session, row.live_version)
            if keep_content:
                row.listed, row.live_version, row.docs_count = False, None, 0
                session.add(row)
            else:
                await session.delete(row)
        return gone

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction in which a broken unique or foreign key means: somebody was faster."""
        try:
            async with self._database.transaction() as session:
                yield session
        except IntegrityError:
            raise Superseded from None


async def _find(session: AsyncSession, kb_id: int, name: str) -> FileRow | None:
    wanted = select(FileRow).where(col(FileRow.kb_id) == kb_id, col(FileRow.file_name) == name)
    return (await session.exec(wanted)).first()


async def _expect(
    session: AsyncSession, kb_id: int, name: str, content_id: str | None
) -> tuple[FileRow, Replaced]:
    row = await _find(session, kb_id, name)
    if (row and row.content_id) != content_id:
        raise Superseded
    if row is None:
        row = FileRow(
            kb_id=kb_id, file_name=name, file_ext=extension_of(name), file_version=0, content_id=""
        )
        return row, Replaced(None, None)
    return row, Replaced(row.live_version, row.content_id)


def _fill(row: FileRow, content: Content) -> None:
    row.file_version += row.content_id != content.id
    row.content_id, row.listed = content.id, True
    row.file_size, row.file_mtime = content.size, content.mtime


async def _retire(session: AsyncSession, version: str | None) -> None:
    if version:
        old = update(VersionRow).where(col(VersionRow.id) == version)
        await session.exec(old.values(state=RETIRED))


def _entity(row: FileRow) -> StoredFile:
    assert row.id is not None
    options = None
    if row.chunk_size is not None and row.chunk_overlap is not None:
        options = ChunkOptions(row.chunk_size, row.chunk_overlap, row.zh_title_enhance)
    return StoredFile(
        id=row.id,
        kb_id=row.kb_id,
        name=row.file_name,
        content_id=row.content_id,
        size=row.file_size,
        mtime=row.file_mtime,
        listed=row.listed,
        custom_docs=row.custom_docs,
        options=options,
        live_version=row.live_version,
    )
