"""API keys, and with which a session began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There are none."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("replaces", sa.String),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("api_keys_hash", "api_keys", ["hash"], unique=True)
    op.create_index("api_keys_name", "api_keys", ["name"])
    op.create_index("api_keys_replaces", "api_keys", ["replaces"], unique=True)
    op.create_index("api_keys_seq", "api_keys", ["seq"])
    op.add_column("sessions", sa.Column("key", sa.String))
    has_key = sa.text("key IS NOT NULL")
    op.create_index(
        "sessions_key", "sessions", ["key", "started_at"], sqlite_where=has_key, postgresql_where=has_key
    )
