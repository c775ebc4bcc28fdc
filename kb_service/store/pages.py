"""Rows of fetched pages: which file an address became, and what was last seen of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from sqlalchemy import delete, func
from sqlmodel import col, select

from kb_service.models import FileRow, PageRow
from kb_service.source_entities import Page, PageState, Source
from kb_service.store.sources import hold
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class PagesPage:
    """Some of many."""

    items: list[Page]
    total: int


class PageStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, source_id: int) -> list[Page]:
        rows = select(PageRow).where(col(PageRow.source_id) == source_id).order_by(col(PageRow.id))
        async with self._database.reading() as session:
            return [_entity(row) for row in await session.exec(rows)]

    async def some(
        self, source_id: int, state: PageState | None, *, start: int, limit: int
    ) -> PagesPage:
        chosen = [col(PageRow.source_id) == source_id]
        if state:
            chosen.append(col(PageRow.state) == state)
        rows = select(PageRow).where(*chosen).order_by(col(PageRow.id)).offset(start).limit(limit)
        async with self._database.reading() as session:
            total = await session.exec(select(func.count()).select_from(PageRow).where(*chosen))
            items = [_entity(row) for row in await session.exec(rows)]
        return PagesPage(items, total.one())

    async def urls_of_others(self, source: Source) -> set[str]:
        """What other sources of the same knowledge base have made files of."""
        urls = select(col(PageRow.url)).where(
            col(PageRow.kb_id) == source.kb_id,
            col(PageRow.source_id) != source.id,
            col(PageRow.file_name).is_not(None),
        )
        async with self._database.reading() as session:
            return set(await session.exec(urls))

    async def is_free(self, kb_id: int, file_name: str, url: str) -> bool:
        """Whether this address may become a file of that name: it is nobody's, or was its own."""
        wanted = select(PageRow).where(
            col(PageRow.kb_id) == kb_id, col(PageRow.file_name) == file_name
        )
        file = select(col(FileRow.id)).where(
            col(FileRow.kb_id) == kb_id, col(FileRow.file_name) == file_name
        )
        async with self._database.reading() as session:
            if row := (await session.exec(wanted)).first():
                return row.source_id is None and row.url == url
            return (await session.exec(file)).first() is None

    async def put(self, source: Source, page: Page) -> None:
        """Raises LeaseLost."""
        mine = select(PageRow).where(
            col(PageRow.source_id) == source.id, col(PageRow.url) == page.url
        )
        left = delete(PageRow).where(  # by a source that was there before
            col(PageRow.kb_id) == source.kb_id,
            col(PageRow.file_name) == page.file_name,
            col(PageRow.source_id).is_(None),
        )
        async with self._database.transaction() as session:
            await hold(session, source)
            if page.file_name:
                await session.exec(left)
            row = (await session.exec(mine)).first()
            row = row or PageRow(kb_id=source.kb_id, source_id=source.id, url=page.url)
            session.add(row.sqlmodel_update(asdict(page)))

    async def forget(self, source: Source, urls: Sequence[str]) -> None:
        """Raises LeaseLost."""
        async with self._database.transaction() as session:
            await hold(session, source)
            await session.exec(
                delete(PageRow).where(
                    col(PageRow.source_id) == source.id, col(PageRow.url).in_(urls)
                )
            )

    async def origin(self, kb_id: int, file_name: str) -> dict[str, str]:
        """What chunks of a file say of where it is from; empty for one that was uploaded."""
        wanted = select(col(PageRow.address), col(PageRow.title)).where(
            col(PageRow.kb_id) == kb_id, col(PageRow.file_name) == file_name
        )
        async with self._database.reading() as session:
            found = (await session.exec(wanted)).first()
        named = {"url": found[0], "page_title": found[1]} if found else {}
        return {key: value for key, value in named.items() if value}


def _entity(row: PageRow) -> Page:
    return Page(
        url=row.url,
        file_name=row.file_name,
        address=row.address,
        title=row.title,
        etag=row.etag,
        last_modified=row.last_modified,
        digest=row.digest,
        job_id=row.job_id,
        state=cast(PageState, row.state),
        reason=row.reason,
        missing_runs=row.missing_runs,
        checked=row.checked,
    )
