"""Clients, their users, API keys and browser sessions; the two clients with fixed ids."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001_identity"
down_revision = None


def upgrade() -> None:
    client = op.create_table(
        "client",
        # AUTOINCREMENT: an id is never given twice, so nobody inherits a deleted client's users.
        sa.Column("id", sa.Integer(), sa.Identity(start=2), primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("private_key", sa.LargeBinary(), nullable=True),
        sa.Column("enable", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.DateTime(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user",
        sa.Column("client_id", sa.Integer(), sa.ForeignKey("client.id"), primary_key=True),
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("username", sa.String(50), nullable=False),
        sa.Column("enable", sa.Boolean(), nullable=False),
        sa.Column("tokens_not_before", sa.Double(), nullable=True),
        sa.Column("create_time", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("client_id", sa.Integer(), sa.ForeignKey("client.id"), nullable=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("enable", sa.Boolean(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("create_time", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "browser_session",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["client_id", "user_id"], ["user.client_id", "user.user_id"]),
    )
    op.create_index("ix_browser_session_expires_at", "browser_session", ["expires_at"])
    now = datetime.now(UTC).replace(tzinfo=None)
    fixed = {"description": "", "enable": True, "create_time": now}
    op.bulk_insert(
        client,
        [
            {"id": 0, "name": "demo", "kind": "demo", **fixed},
            {"id": 1, "name": "wecom", "kind": "wecom", **fixed},
        ],
    )


def downgrade() -> None:
    for table in ("browser_session", "api_key", "user", "client"):
        op.drop_table(table)
