"""The outbox: who is still to be told of what happened to holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody is told of what happened before."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("receiver", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("give_up_at", sa.BigInteger, nullable=False),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("last_error", sa.String, nullable=False),
        sa.Column("changed", sa.BigInteger),
    )
    op.create_index("outbox_once", "outbox", ["seq", "receiver"], unique=True)
    op.create_index("outbox_hold", "outbox", ["hold", "seq"])
    is_queued = sa.text("state = 'queued'")
    op.create_index(
        "outbox_due", "outbox", ["receiver", "next_at"], sqlite_where=is_queued, postgresql_where=is_queued
    )
