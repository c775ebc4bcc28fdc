"""Rows of tags, and which index versions have others than their file has."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, union_all, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kb_service.entities import Labels, Tag
from kb_service.models import ChunkEditRow, FileRow, TagRow, VersionRow
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class Outdated:
    """A version that answers with tags that its file has no more."""

    version: str
    kb_id: int
    collection: str
    tags: tuple[str, ...]


class LabelStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, kb_id: int, file_name: str) -> Labels:
        """Empty for a file that is not there."""
        file: Any = select(col(FileRow.id), col(FileRow.upload_time)).where(
            *_named(kb_id, file_name)
        )
        async with self._database.reading() as session:
            row: Any = (await session.exec(file)).first()
            tags = await _grouped(session, FileRow.id, col(FileRow.id) == row[0]) if row else {}
        return Labels(tags.get(row[0], ()), row[1]) if row else Labels()

    async def put_tags(self, kb_id: int, file_name: str, tags: tuple[str, ...]) -> bool:
        """In the place of those that it has; False when there is no such file."""
        async with self._database.transaction() as session:
            return await replace_tags(session, kb_id, file_name, tags)

    async def tags(self, kb_id: int) -> list[Tag]:
        """All that files of a knowledge base have, by name."""
        counts: Any = (
            select(col(TagRow.tag), func.count())
            .join(FileRow, col(FileRow.id) == col(TagRow.file_id))
            .where(col(FileRow.kb_id) == kb_id)
            .group_by(col(TagRow.tag))
            .order_by(col(TagRow.tag))
        )
        async with self._database.reading() as session:
            return [Tag(name, files) for name, files in await session.exec(counts)]

    async def outdated(self, kb_id: int, file_names: Sequence[str]) -> list[Outdated]:
        """Versions that answer for files with other tags than these have."""
        return await self._outdated(*_named(kb_id, *file_names))

    async def all_outdated(self) -> list[Outdated]:
        return await self._outdated()

    async def note(self, version: str, tags: tuple[str, ...]) -> None:
        """Its points have these."""
        noted = update(VersionRow).where(col(VersionRow.id) == version)
        async with self._database.transaction() as session:
            await session.exec(noted.values(tags=list(tags) or None))

    async def _outdated(self, *chosen: Any) -> list[Outdated]:
        own: Any = select(
            col(FileRow.id).label("file_id"), col(FileRow.live_version).label("version")
        )
        edited = select(col(FileRow.id), col(ChunkEditRow.version)).join(
            ChunkEditRow,
            (col(ChunkEditRow.kb_id) == col(FileRow.kb_id))
            & (col(ChunkEditRow.file_name) == col(FileRow.file_name)),
        )
        answering = union_all(own.where(*chosen), edited.where(*chosen)).subquery()
        has_tags = answering.c.file_id.in_(select(col(TagRow.file_id)))
        rows: Any = (
            select(
                answering.c.file_id,
                col(VersionRow.id),
                col(VersionRow.kb_id),
                col(VersionRow.collection),
                col(VersionRow.tags),
            )
            .join(VersionRow, col(VersionRow.id) == answering.c.version)
            .where(or_(has_tags, col(VersionRow.tags).is_not(None)))
        )
        async with self._database.reading() as session:
            found = list(await session.exec(rows))
            tags = await _grouped(session, FileRow.id, *chosen) if found else {}
        wanted = [(tags.get(file, ()), *rest) for file, *rest in found]
        return [
            Outdated(version, kb_id, collection, of_file)
            for of_file, version, kb_id, collection, of_points in wanted
            if of_file != tuple(of_points or ())
        ]


async def replace_tags(
    session: AsyncSession, kb_id: int, file_name: str, tags: tuple[str, ...]
) -> bool:
    """False when there is no such file."""
    file: Any = select(col(FileRow.id)).where(*_named(kb_id, file_name)).with_for_update()
    row: Any = (await session.exec(file)).first()
    if row is None:
        return False
    await session.exec(delete(TagRow).where(col(TagRow.file_id) == row[0]))
    if tags:
        rows = [{"file_id": row[0], "tag": tag} for tag in tags]
        await session.exec(insert(TagRow), params=rows)
    return True


async def tags_of(
    session: AsyncSession, kb_id: int, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """By the names of files."""
    return await _grouped(session, FileRow.file_name, *_named(kb_id, *names))


def _named(kb_id: int, *file_names: str) -> tuple[Any, Any]:
    return col(FileRow.kb_id) == kb_id, col(FileRow.file_name).in_(file_names)


async def _grouped(session: AsyncSession, key: Any, *chosen: Any) -> dict[Any, tuple[str, ...]]:
    rows: Any = (
        select(key, col(TagRow.tag))
        .join(FileRow, col(FileRow.id) == col(TagRow.file_id))
        .where(*chosen)
        .order_by(col(TagRow.tag))
    )
    tags = defaultdict[Any, list[str]](list)
    for file, tag in await session.exec(rows):
        tags[file].append(tag)
    return {file: tuple(own) for file, own in tags.items()}
