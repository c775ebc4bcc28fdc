"""Versions of prompt templates: statements on chat.db; rows are only added."""

from datetime import UTC, datetime

from sqlalchemy import RowMapping, func, insert, select
from sqlalchemy.exc import IntegrityError

from chat_service.models import PROMPT
from chat_service.prompt_entities import PromptVersion
from servicekit.database import Database


class PromptStore:
    """The highest id is the revision, which other processes watch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        async with self._database.reading() as session:
            connection = await session.connection()
            found = await connection.execute(select(func.coalesce(func.max(PROMPT.c.id), 0)))
            return int(found.scalar_one())

    async def newest(self) -> list[PromptVersion]:
        """The newest version of each."""
        newest = select(func.max(PROMPT.c.id)).group_by(PROMPT.c.kind, PROMPT.c.name)
        statement = select(PROMPT).where(PROMPT.c.id.in_(newest))
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(statement)
            return [_version(row) for row in rows.mappings()]

    async def versions(
        self, kind: str, name: str, *, start: int, limit: int
    ) -> tuple[list[PromptVersion], int]:
        """Some of them, the newest first, and how many there are."""
        wanted = (PROMPT.c.kind == kind) & (PROMPT.c.name == name)
        page = select(PROMPT).where(wanted).order_by(PROMPT.c.version.desc())
        async with self._database.reading() as session:
            connection = await session.connection()
            rows = await connection.execute(page.offset(start).limit(limit))
            total = await connection.execute(select(func.count()).select_from(PROMPT).where(wanted))
            return [_version(row) for row in rows.mappings()], int(total.scalar_one())

    async def version(self, kind: str, name: str, number: int) -> PromptVersion | None:
        statement = select(PROMPT).where(
            PROMPT.c.kind == kind, PROMPT.c.name == name, PROMPT.c.version == number
        )
        async with self._database.reading() as session:
            rows = await (await session.connection()).execute(statement)
            row = rows.mappings().one_or_none()
            return _version(row) if row else None

    async def add(self, kind: str, name: str, text: str, author: str) -> bool:
        """The next version; False when somebody else is adding it."""
        values = {"kind": kind, "name": name, "text": text, "author": author}
        wanted = (PROMPT.c.kind == kind) & (PROMPT.c.name == name)
        try:
            async with self._database.transaction() as session:
                connection = await session.connection()
                last = await connection.execute(select(func.max(PROMPT.c.version)).where(wanted))
                number = (last.scalar_one() or 0) + 1
                row = values | {"version": number, "create_time": datetime.now(UTC)}
                await connection.execute(insert(PROMPT).values(**row))
        except IntegrityError:
            return False
        return True


def _version(row: RowMapping) -> PromptVersion:
    made = row["create_time"]
    return PromptVersion(
        row["kind"],
        row["name"],
        row["version"],
        row["text"],
        row["author"],
        made if made.tzinfo else made.replace(tzinfo=UTC),
    )
