"""The migrations and the models say the same, and what goes up comes down."""

import shutil
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
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


def test_the_migrations_go_down_again(migrated: Path, tmp_path: Path) -> None:
    versions = ScriptDirectory(str(Path(models.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{shutil.copy(migrated, tmp_path / 'chat.db')}")
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            for version in versions.walk_revisions():
                version.module.downgrade()
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
