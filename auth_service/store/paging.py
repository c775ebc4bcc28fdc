"""One page of a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import RowMapping, Select, func, select

from servicekit.database import Database

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page; the first is 1."""

    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page, and how many items there are in all."""

    items: list[Item]
    total: int


async def fetch_page(
    database: Database,
    query: Select[*tuple[Any, ...]],
    paging: Paging,
    make: Callable[[RowMapping], Item],
) -> Page[Item]:
    """The rows of one page in the query's order, and their number without paging."""
    counted = select(func.count()).select_from(query.order_by(None).subquery())
    offset = (paging.page - 1) * paging.page_size
    async with database.reading() as session:
        connection = await session.connection()
        rows = await connection.execute(query.offset(offset).limit(paging.page_size))
        items = [make(row) for row in rows.mappings()]
        return Page(items, (await connection.execute(counted)).scalar_one())
