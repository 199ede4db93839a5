"""How many bytes of a session are on record, and for which budgets of groups it counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those from before have neither."""
    op.add_column("sessions", sa.Column("bytes", sa.BigInteger))
    op.create_table(
        "session_budgets",
        sa.Column("budget", sa.String, primary_key=True),
        sa.Column("session", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
