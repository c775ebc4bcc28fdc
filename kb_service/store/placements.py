"""Which collections the indexes of knowledge bases are in, and which files are in a wrong one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import CompoundSelect, delete, func, or_, union
from sqlmodel import col, select

from kb_service.entities import ChunkOptions
from kb_service.models import LIVE, ChunkEditRow, FileRow, JobRow, KnowledgeBaseRow, VersionRow, now
from kb_service.store.job_rows import ACTIVE, IDLE
from servicekit.database import Database

_LEFT_ALONE = timedelta(hours=1)  # a file that could not be moved


@dataclass(frozen=True, slots=True)
class Placement:
    """A collection with live indexes of a knowledge base; `chosen` is the model it is to have."""

    kb_id: int
    kb_name: str
    chosen: str
    collection: str


@dataclass(frozen=True, slots=True)
class MisplacedFile:
    name: str
    options: ChunkOptions


class PlacementStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, kb_id: int | None = None) -> list[Placement]:
        """Of one knowledge base, or of all."""
        rows = (
            select(
                col(KnowledgeBaseRow.id),
                col(KnowledgeBaseRow.kb_name),
                col(KnowledgeBaseRow.embed_model),
                col(VersionRow.collection),
            )
            .join(VersionRow, col(VersionRow.kb_id) == col(KnowledgeBaseRow.id))
            .where(col(VersionRow.state) == LIVE)
            .distinct()
        )
        if kb_id is not None:
            rows = rows.where(col(KnowledgeBaseRow.id) == kb_id)
        async with self._database.reading() as session:
            found = (await session.exec(rows)).all()
        return [Placement(one or 0, *of_it) for one, *of_it in found]

    async def to_move(self, kb_id: int, collection: str) -> list[MisplacedFile]:
        """Files to index into the collection that no job is at, and none has failed at lately.

        A file whose content was changed without being indexed stays where it is.
        """
        failed = or_(
            col(JobRow.state).in_(ACTIVE),
            (col(JobRow.kind) == "embed")
            & (col(JobRow.state) != "done")
            & (col(JobRow.update_time) > now() - _LEFT_ALONE),
        )
        left_alone = select(JobRow.file_name).where(col(JobRow.kb_id) == kb_id, failed)
        rows = (
            select(FileRow.file_name, FileRow.chunking)
            .where(
                col(FileRow.kb_id) == kb_id,
                col(FileRow.chunking).is_not(None),
                col(FileRow.file_name).in_(_misplaced(kb_id, collection)),
                col(FileRow.file_name).not_in(left_alone),
            )
            .order_by(col(FileRow.id))
        )
        async with self._database.reading() as session:
            return [
                MisplacedFile(name, ChunkOptions.from_json(chunking))
                for name, chunking in await session.exec(rows)
                if chunking
            ]

    async def forget_failures(self, kb_id: int) -> None:
        """Of moves that are due again: else each try would leave a job for a month."""
        failed = [
            col(JobRow.kb_id) == kb_id,
            col(JobRow.kind) == "embed",
            col(JobRow.state).in_(IDLE),
            col(JobRow.update_time) <= now() - _LEFT_ALONE,
        ]
        async with self._database.transaction() as session:
            await session.exec(delete(JobRow).where(*failed))

    async def is_misplaced(self, kb_id: int, file_name: str, collection: str) -> bool:
        rows = select(FileRow.id).where(
            col(FileRow.kb_id) == kb_id,
            col(FileRow.file_name) == file_name,
            col(FileRow.file_name).in_(_misplaced(kb_id, collection)),
        )
        async with self._database.reading() as session:
            return (await session.exec(rows)).first() is not None

    async def count(self, kb_id: int, collections: Sequence[str]) -> int:
        """Files with an index that is in none of the collections."""
        misplaced = _misplaced(kb_id, *collections).subquery()
        async with self._database.reading() as session:
            return (await session.exec(select(func.count()).select_from(misplaced))).one()


def _misplaced(kb_id: int, *collections: str) -> CompoundSelect[str]:
    """Names of files with an index, of their own or of an edited chunk, that is elsewhere."""
    elsewhere = select(VersionRow.id).where(
        col(VersionRow.kb_id) == kb_id,
        col(VersionRow.state) == LIVE,
        col(VersionRow.collection).not_in(collections),
    )
    own = select(FileRow.file_name).where(
        col(FileRow.kb_id) == kb_id, col(FileRow.live_version).in_(elsewhere)
    )
    edited = select(ChunkEditRow.file_name).where(
        col(ChunkEditRow.kb_id) == kb_id, col(ChunkEditRow.version).in_(elsewhere)
    )
    return union(own, edited)
