"""Rows of files, and the flip that puts a finished version in the place of the old one."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.chunk_entities import NO_EDITS, EditPlan
from kb_service.entities import (
    ChunkOptions,
    Content,
    Lease,
    NewVersion,
    Owner,
    Replaced,
    StoredFile,
)
from kb_service.errors import LeaseLost, Superseded
from kb_service.models import BUILDING, LIVE, FileRow, JobRow, VersionRow, now
from kb_service.store.changes import note_change
from kb_service.store.edits import carry_over, drop_edits, retire, retire_edits
from kb_service.store.job_rows import NO_CONTENT, give_up_contents, new_file, stop_jobs
from kb_service.store.leases import hold
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class TakenOut:
    """`found` is whether there was something to take out that a user knows of."""

    replaced: Replaced
    found: bool


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
        """What must stay on disk: contents of files, and those that jobs still need."""
        needed = select(JobRow.content_id, JobRow.passages_id).where(col(JobRow.state) != "done")
        async with self._database.reading() as session:
            # Jobs first: what one of them puts into its file meanwhile is among them.
            known = {one for pair in await session.exec(needed) for one in pair if one}
            known.update(await session.exec(select(col(FileRow.content_id))))
        return known

    async def put(
        self,
        kb_id: int,
        name: str,
        content: Content,
        owner: Owner,
        *,
        expected_content: str | None,
        why: str,
    ) -> Replaced:
        """Point the file to new content and leave its index alone; jobs for it stop, and `why`.

        Raises Superseded.
        """
        async with self._writing() as session:
            row = await _find(session, kb_id, name)
            if (row and row.content_id) != expected_content:
                raise Superseded
            await stop_jobs(session, kb_id, name, why)
            gone = await give_up_contents(session, kb_id, name)
            row = row or new_file(kb_id, name)
            gone |= _fill(row, content)
            _sign(row, owner.client_id, owner.user_id, now())
            # What is live was not made from this content: a rebuild must read the file.
            row.chunking = None
            row.custom_docs = False
            session.add(row)
        return Replaced(None, gone)

    async def go_live(self, new: NewVersion, lease: Lease, edits: EditPlan = NO_EDITS) -> Replaced:
        """Flip the file to a finished version, all or nothing. Raises LeaseLost, EditsChanged."""
        async with self._database.transaction() as session:
            await hold(session, lease, step="removing")
            job = await session.get_one(JobRow, lease.job_id)
            row = await _find(session, new.kb_id, new.file_name) or new_file(
                new.kb_id, new.file_name
            )
            flipped = await session.exec(
                update(VersionRow)
                .where(col(VersionRow.id) == new.id, col(VersionRow.state) == BUILDING)
                .values(
                    state=LIVE,
                    state_since=time.time(),
                    chunks=new.chunks,
                    term_counts=new.term_counts,
                )
            )
            if not flipped.rowcount:
                raise LeaseLost
            gone = frozenset({job.passages_id} if job.passages_id else ())
            if job.content_id:
                gone |= await give_up_contents(session, new.kb_id, new.file_name)
                _sign(row, job.owner_client, job.owner_user, job.create_time)
            overlays = await carry_over(session, new.kb_id, new.file_name, edits)
            replaced = Replaced(row.live_version, gone | _fill(row, new.content), overlays)
            row.document_loader_name = new.loader or row.document_loader_name
            row.text_splitter_name = new.splitter or row.text_splitter_name
            row.custom_docs, row.docs_count = new.custom_docs, new.chunks
            row.chunking = new.options.to_json()
            row.live_version = new.id
            session.add(row)
            if replaced.version:
                await retire(session, replaced.version)
            note_change(session, new.kb_id)
        return replaced

    async def take_out(self, kb_id: int, name: str, *, keep_content: bool, why: str) -> TakenOut:
        """Remove the row, or only take it off the list, so that it can be indexed again.

        Jobs for it stop, and `why`.
        """
        gone = frozenset[str]()
        async with self._database.transaction() as session:
            was_on_its_way = await stop_jobs(session, kb_id, name, why)
            row = await _find(session, kb_id, name)
            was_listed = row is not None and row.listed
            if not keep_content:
                gone |= await give_up_contents(session, kb_id, name)
            if row is None:
                return TakenOut(Replaced(None, gone), found=was_on_its_way)
            note_change(session, kb_id)
            silence = retire_edits if keep_content else drop_edits
            overlays = await silence(session, kb_id, name)
            replaced = Replaced(row.live_version, gone, overlays)
            if row.live_version:
                await retire(session, row.live_version)
            if keep_content and row.content_id != NO_CONTENT:
                row.listed, row.live_version, row.docs_count = False, None, 0
                session.add(row)
            else:
                gone |= {row.content_id} - {NO_CONTENT}
                replaced = Replaced(row.live_version, gone, overlays)
                await session.delete(row)
        return TakenOut(replaced, found=was_listed or was_on_its_way)

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


def _fill(row: FileRow, content: Content) -> frozenset[str]:
    """Gives the content that it had."""
    before = frozenset({row.content_id} - {NO_CONTENT, content.id})
    row.file_version += row.content_id != content.id
    row.content_id, row.listed = content.id, True
    row.file_size, row.file_mtime = content.size, content.mtime
    return before


def _sign(row: FileRow, client_id: str, user_id: str, time: datetime) -> None:
    """Whose content it is."""
    row.owner_client, row.owner_user, row.upload_time = client_id, user_id, time


def _entity(row: FileRow) -> StoredFile:
    assert row.id is not None
    return StoredFile(
        id=row.id,
        kb_id=row.kb_id,
        name=row.file_name,
        content_id=row.content_id,
        size=row.file_size,
        mtime=row.file_mtime,
        listed=row.listed,
        custom_docs=row.custom_docs,
        options=ChunkOptions.from_json(row.chunking) if row.chunking else None,
        live_version=row.live_version,
    )
