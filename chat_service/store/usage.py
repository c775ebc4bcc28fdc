"""Tokens used and quotas on them: statements on chat.db."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from chat_service.models import QUOTA, USAGE
from chat_service.usage_entities import Quota, UsageQuery, UsageSum, Used
from servicekit.database import Database

_PUT_QUOTA = {
    dialect: (put := insert_or_update(QUOTA))
    .on_conflict_do_update(
        index_elements=["client_id", "per", "user_id"],
        set_={"daily_tokens": put.excluded.daily_tokens},
    )
    .returning(QUOTA.c.id)
    for dialect, insert_or_update in (
        ("sqlite", sqlite.insert),
        ("postgresql", postgresql.insert),
    )
}


class UsageStore:
    """Rows are only added, until they are old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, calls: Sequence[Used]) -> None:
        rows = [
            {
                "create_time": used.create_time,
                "day": used.day,
                "model": used.model[:64],
                "mode": used.account.mode,
                "client_id": used.account.client_id,
                "user_id": used.account.user_id,
                "knowledge_base": used.account.knowledge_base,
                "prompt_tokens": used.prompt_tokens,
                "completion_tokens": used.completion_tokens,
                "is_estimated": used.is_estimated,
                "cost": used.cost,
                "currency": used.currency,
            }
            for used in calls
        ]
        async with self._database.transaction() as session:
            await (await session.connection()).execute(insert(USAGE), rows)

    async def used(self, day: str, client_id: str, user_id: str | None) -> int:
        """Tokens of that day."""
        total = func.coalesce(func.sum(USAGE.c.prompt_tokens + USAGE.c.completion_tokens), 0)
        statement = select(total).where(USAGE.c.day == day, USAGE.c.client_id == client_id)
        if user_id is not None:
            statement = statement.where(USAGE.c.user_id == user_id)
        async with self._database.reading() as session:
            return int((await (await session.connection()).execute(statement)).scalar_one())

    async def sums(
        self, query: UsageQuery, *, start: int, limit: int
    ) -> tuple[list[UsageSum], int]:
        """Some of the sums, the newest day and the most tokens first, and how many there are."""
        keys = [USAGE.c[name] for name in query.by]
        tokens = func.sum(USAGE.c.prompt_tokens + USAGE.c.completion_tokens)
        grouped = (
            select(
                *keys,
                USAGE.c.currency,
                func.count().label("requests"),
                func.sum(USAGE.c.is_estimated.cast(USAGE.c.prompt_tokens.type)).label("estimated"),
                func.sum(USAGE.c.prompt_tokens).label("prompt_tokens"),
                func.sum(USAGE.c.completion_tokens).label("completion_tokens"),
                func.sum(USAGE.c.cost).label("cost"),
            )
            .where(_wanted(query))
            .group_by(*keys, USAGE.c.currency)
        )
        days = [USAGE.c.day.desc()] if "day" in query.by else []
        page = grouped.order_by(*days, tokens.desc(), *keys).offset(start).limit(limit)
        async with self._database.reading() as session:
            connection = await session.connection()
            counted = select(func.count()).select_from(grouped.subquery())
            total = (await connection.execute(counted)).scalar_one()
            rows = (await connection.execute(page)).mappings()
            return [_sum(row, query) for row in rows], int(total)

    async def forget(self, *, before: str) -> None:
        async with self._database.transaction() as session:
            await (await session.connection()).execute(delete(USAGE).where(USAGE.c.day < before))

    async def quotas(self) -> list[Quota]:
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(
                select(QUOTA).order_by(QUOTA.c.client_id, QUOTA.c.per, QUOTA.c.user_id)
            )
            return [
                Quota(row.client_id, row.per, row.daily_tokens, row.user_id or None, row.id)
                for row in rows
            ]

    async def put_quota(self, quota: Quota) -> Quota:
        """In the place of the one for the same, if there is one."""
        values = {
            "client_id": quota.client_id,
            "per": quota.per,
            "user_id": quota.user_id or "",
            "daily_tokens": quota.daily_tokens,
        }
        async with self._database.transaction() as session:
            connection = await session.connection()
            put = await connection.execute(_PUT_QUOTA[connection.dialect.name], values)
            return replace(quota, id=put.scalar_one())

    async def remove_quota(self, quota_id: int) -> bool:
        """False when there is none."""
        async with self._database.transaction() as session:
            gone = await (await session.connection()).execute(
                delete(QUOTA).where(QUOTA.c.id == quota_id)
            )
            return bool(gone.rowcount)


def _wanted(query: UsageQuery) -> Any:
    only = [USAGE.c[name] == value for name, value in query.only]
    return and_(USAGE.c.day >= query.since, USAGE.c.day <= query.until, *only)


def _sum(row: Any, query: UsageQuery) -> UsageSum:
    return UsageSum(
        key={name: row[name] for name in query.by},
        requests=row["requests"],
        estimated_requests=row["estimated"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost=row["cost"],
        currency=row["currency"],
    )
