"""Keys that sign v2 tokens, operators, used tokens, the audit log; what a client may and limits.

The v1 "public" keys go: they are shared secrets, which we need not know.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_administration"
down_revision = "0001_identity"

_NO = sa.false()
_ADDED: dict[str, list[sa.Column[object]]] = {
    "client": [
        sa.Column("allowed_origins", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("embeddable", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("limits", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("knowledge_bases", sa.JSON(), nullable=True),
        sa.Column("tokens_not_before", sa.Double(), nullable=True),
    ],
    "user": [
        sa.Column("groups", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("deleted", sa.Boolean(), nullable=False, server_default=_NO),
    ],
    "browser_session": [
        sa.Column("method", sa.String(10), nullable=False, server_default="v1"),
    ],
}


def upgrade() -> None:
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
    op.drop_column("client", "public_key")
    # AUTOINCREMENT: a key acts as `key-<id>`, so nobody inherits what a deleted key's program said.
    with op.batch_alter_table(
        "api_key",
        recreate="always" if op.get_bind().dialect.name == "sqlite" else "never",
        table_kwargs={"sqlite_autoincrement": True},
    ) as altered:
        altered.add_column(sa.Column("knowledge_bases", sa.JSON(), nullable=True))
    op.create_index("ix_browser_session_owner", "browser_session", ["client_id", "user_id"])
    op.create_table(
        "client_key",
        sa.Column("client_id", sa.Integer(), sa.ForeignKey("client.id"), primary_key=True),
        sa.Column("kid", sa.String(64), primary_key=True),
        sa.Column("algorithm", sa.String(8), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "admin",
        sa.Column("username", sa.String(50), primary_key=True),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("enable", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.Double(), nullable=True),
        sa.Column("locked_until", sa.Double(), nullable=True),
        sa.Column("create_time", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "admin_session",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("username", sa.String(50), sa.ForeignKey("admin.username"), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False, index=True),
    )
    op.create_table(
        "token_replay",
        sa.Column("client_id", sa.Integer(), primary_key=True),
        sa.Column("jti_hash", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.Double(), nullable=False, index=True),
    )
    op.create_table(
        "sso_state",
        sa.Column("nonce", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.Double(), nullable=False, index=True),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False, index=True),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("action", sa.String(50), nullable=False, index=True),
        sa.Column("target", sa.String(120), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("address", sa.String(50), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    for table in ("audit_log", "sso_state", "token_replay", "admin_session", "admin", "client_key"):
        op.drop_table(table)
    op.drop_index("ix_browser_session_owner", "browser_session")
    op.add_column("client", sa.Column("public_key", sa.Text(), nullable=True))
    op.drop_column("api_key", "knowledge_bases")
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
