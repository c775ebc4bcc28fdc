"""Models that operators add: statements on the registry in chat.db."""

from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chat_service.model_entities import Operation, Registered, StoredModel
from chat_service.models import MODEL, MODEL_REVISION
from servicekit.database import Database

_OPERATION = tuple(Operation.model_fields)


class ModelStore:
    """Each change is one transaction and counts up the revision, which other processes watch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        async with self._database.reading() as session:
            connection = await session.connection()
            found = await connection.execute(select(MODEL_REVISION.c.number))
            return int(found.scalar_one())

    async def load(self) -> Registered:
        async with self._database.reading() as session:
            connection = await session.connection()
            state = (await connection.execute(select(MODEL_REVISION))).mappings().one()
            rows = await connection.execute(select(MODEL).order_by(MODEL.c.name))
            models = tuple(_stored(row) for row in rows.mappings())
            return Registered(models, state["default_model"], state["number"])

    async def add(self, model: StoredModel) -> bool:
        """False when the name is taken."""
        try:
            async with self._database.transaction() as session:
                connection = await session.connection()
                await connection.execute(insert(MODEL).values(name=model.name, **_values(model)))
                await _count_up(connection)
        except IntegrityError:
            return False
        return True

    async def change(self, model: StoredModel) -> bool:
        """False when there is none of that name."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            statement = update(MODEL).where(MODEL.c.name == model.name).values(**_values(model))
            changed = bool((await connection.execute(statement)).rowcount)
            await _count_up(connection)
            return changed

    async def remove(self, name: str) -> None:
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(delete(MODEL).where(MODEL.c.name == name))
            await _count_up(connection)

    async def set_default(self, name: str) -> None:
        """The default from now on; empty: what config.ini says."""
        async with self._database.transaction() as session:
            await _count_up(await session.connection(), default_model=name)


async def _count_up(connection: AsyncConnection, **values: str) -> None:
    values_set: dict[str, Any] = {"number": MODEL_REVISION.c.number + 1, **values}
    await connection.execute(update(MODEL_REVISION).values(values_set))


def _values(model: StoredModel) -> dict[str, Any]:
    return {
        "preset": model.preset,
        "base_url": model.base_url,
        "model": model.model,
        "sealed_key": model.sealed_key,
        **model.operation.model_dump(mode="json"),
    }


def _stored(row: RowMapping) -> StoredModel:
    operation = Operation.model_construct(**{name: row[name] for name in _OPERATION})
    return StoredModel(
        row["name"],
        row["preset"],
        row["base_url"],
        row["model"],
        row["sealed_key"],
        operation.model_copy(update={"fallbacks": tuple(row["fallbacks"])}),
    )
