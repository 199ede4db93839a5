"""Whose the results are that model servers keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was made so far is nobody's."""
    op.create_table(
        "kept_results",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("kept_results_seq", "kept_results", ["seq"])
