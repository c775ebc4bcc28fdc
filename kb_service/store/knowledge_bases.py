"""Rows of knowledge bases, and the things that are remembered once per installation."""

import time
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from kb_service.entities import ChunkOptions, KnowledgeBase, Visibility, VisibilityKind
from kb_service.errors import NameTaken
from kb_service.models import (
    LIVE,
    RETIRED,
    FileRow,
    JobRow,
    KnowledgeBaseRow,
    MilestoneRow,
    MissedQueryRow,
    PageRow,
    QuestionRow,
    SearchCountRow,
    SourceRow,
    VersionRow,
)
from kb_service.names import shown
from kb_service.question_keys import question_key
from kb_service.store.changes import note_change
from kb_service.store.edits import drop_edits
from kb_service.store.eval_sets import drop_sets, remove_sets
from servicekit.database import Database


class KnowledgeBaseStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[KnowledgeBase]:
        """In the order of their making, with the number of listed files."""
        files = (
            select(col(FileRow.kb_id), func.count().label("files"))
            .where(col(FileRow.listed))
            .group_by(col(FileRow.kb_id))
            .subquery()
        )
        rows = (
            select(KnowledgeBaseRow, files.c.files)
            .outerjoin(files, files.c.kb_id == col(KnowledgeBaseRow.id))
            .order_by(col(KnowledgeBaseRow.id))
        )
        async with self._database.reading() as session:
            return [_entity(row, count or 0) for row, count in await session.exec(rows)]

    async def with_id(self, kb_id: int) -> KnowledgeBase | None:
        async with self._database.reading() as session:
            row = await session.get(KnowledgeBaseRow, kb_id)
        return None if row is None else _entity(row)

    async def find(self, name: str) -> KnowledgeBase | None:
        wanted = select(KnowledgeBaseRow).where(col(KnowledgeBaseRow.kb_name) == name)
        async with self._database.reading() as session:
            row = (await session.exec(wanted)).first()
        return None if row is None else _entity(row)

    async def add(
        self,
        name: str,
        *,
        zh_name: str,
        info: str,
        vs_type: str,
        embed_model: str,
        owner_client: str,
        questions: Sequence[str],
    ) -> KnowledgeBase:
        """The new knowledge base with its recommended questions. Raises NameTaken."""
        row = KnowledgeBaseRow(
            kb_name=name,
            kb_zh_name=zh_name,
            kb_info=info,
            vs_type=vs_type,
            embed_model=embed_model,
            owner_client=owner_client,
        )
        recommended = (
            QuestionRow(
                query=query,
                kb_name=name,
                owner_client=owner_client,
                match_key=question_key(query) or "",
            )
            for query in questions
        )
        try:
            async with self._database.transaction() as session:
                session.add_all([row, *recommended])
                await session.flush()
                note_change(session, _entity(row).id)
        except IntegrityError:
            raise NameTaken(shown(name)) from None
        return _entity(row)

    async def change(self, kb_id: int, **columns: Any) -> bool:
        """False when it is no longer there."""
        change = update(KnowledgeBaseRow).where(col(KnowledgeBaseRow.id) == kb_id)
        async with self._database.transaction() as session:
            done = await session.exec(change.values(**columns))
            note_change(session, kb_id)
            return bool(done.rowcount)

    async def remove(self, kb: KnowledgeBase) -> list[str]:
        """Takes it out with its files and questions; gives the versions left to clean."""
        live = [col(VersionRow.kb_id) == kb.id, col(VersionRow.state) == LIVE]
        retired = {"state": RETIRED, "state_since": time.time()}
        await remove_sets(self._database, kb.id)
        async with self._database.transaction() as session:
            versions = list(await session.exec(select(col(VersionRow.id)).where(*live)))
            await session.exec(update(VersionRow).where(*live).values(**retired))
            await drop_edits(session, kb.id, None)
            await drop_sets(session, kb.id)
            await session.exec(delete(FileRow).where(col(FileRow.kb_id) == kb.id))
            await session.exec(delete(JobRow).where(col(JobRow.kb_id) == kb.id))
            await session.exec(delete(PageRow).where(col(PageRow.kb_id) == kb.id))
            await session.exec(delete(SourceRow).where(col(SourceRow.kb_id) == kb.id))
            await session.exec(delete(QuestionRow).where(col(QuestionRow.kb_name) == kb.name))
            await session.exec(delete(SearchCountRow).where(col(SearchCountRow.kb_id) == kb.id))
            await session.exec(delete(MissedQueryRow).where(col(MissedQueryRow.kb_id) == kb.id))
            await session.exec(delete(KnowledgeBaseRow).where(col(KnowledgeBaseRow.id) == kb.id))
            note_change(session, kb.id)
        return versions

    async def reached(self, milestone: str) -> bool:
        async with self._database.reading() as session:
            return await session.get(MilestoneRow, milestone) is not None

    async def mark(self, milestone: str) -> None:
        async with self._database.transaction() as session:
            await session.merge(MilestoneRow(name=milestone))


def _entity(row: KnowledgeBaseRow, file_count: int = 0) -> KnowledgeBase:
    assert row.id is not None
    return KnowledgeBase(
        id=row.id,
        name=row.kb_name,
        zh_name=row.kb_zh_name,
        info=row.kb_info,
        vs_type=row.vs_type,
        embed_model=row.embed_model,
        owner_client=row.owner_client,
        create_time=row.create_time,
        file_count=file_count,
        visibility=Visibility(
            cast(VisibilityKind, row.visibility),
            frozenset(row.visible_clients),
            frozenset(row.visible_groups),
        ),
        chunking=ChunkOptions.from_json(row.chunking) if row.chunking else None,
        follows_default_model=not row.embed_model,
    )
