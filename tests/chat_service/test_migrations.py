"""The migrations and the models say the same."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from chat_service import models


def test_the_migrated_schema_is_the_models(migrated: Path) -> None:
    tables = {
        kind.__tablename__
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, SQLModel) and kind is not SQLModel
    }

    def ours(_: Any, name: str | None, kind: str, *__: Any) -> bool:
        return kind != "table" or name in tables

    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        options = {"include_object": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()
    assert "model" in tables
