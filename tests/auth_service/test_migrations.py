"""The migrations and the models say the same."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from auth_service import models
from tests.auth_service.conftest import Gateway

MIGRATIONS = Path(models.__file__).parent / "migrations"
TABLES = {
    "admin",
    "admin_session",
    "api_key",
    "audit_log",
    "browser_session",
    "client",
    "client_key",
    "sso_state",
    "token_replay",
    "user",
}


def test_the_migrated_schema_is_the_models(migrated: Path) -> None:
    def ours(_: Any, name: str | None, kind: str, *__: Any) -> bool:
        return kind != "table" or name in TABLES

    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        options = {"include_object": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_revision_ids_are_file_names() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions
    assert {path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py")} == set(revisions)


async def test_bug_15_fixed_clients_are_there_and_others_come_after(gateway: Gateway) -> None:
    clients = await gateway.execute(text("SELECT id, name FROM client ORDER BY id"))
    assert clients == [(0, "demo"), (1, "wecom")]
    assert await gateway.add_keyless_client("a") == "2"


async def test_a_client_id_is_never_given_twice(gateway: Gateway) -> None:
    """Whoever came after a deleted client would inherit its users."""
    await gateway.add_keyless_client("a")
    await gateway.execute(text("DELETE FROM client WHERE id = 2"))
    assert await gateway.add_keyless_client("b") == "3"
