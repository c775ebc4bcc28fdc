"""Runs the migrations in one transaction of the service's own database settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from servicekit.database import Database
from session_service.models import SESSIONS


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=SESSIONS.metadata, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run(url: str) -> None:
    database = Database(url, package="session_service")
    try:
        async with database.transaction() as session:
            await (await session.connection()).run_sync(_migrate)
    finally:
        await database.close()


asyncio.run(_run(context.config.attributes["url"]))
