"""Holds that are open, newest first, and those of a caller: as lists ask for them, whatever waited before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Indexes of the rows that there are."""
    is_open = sa.text("state IN ('pending', 'approved')")
    op.create_index("holds_open", "holds", ["seq"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("holds_subject", "holds", ["subject", "seq"])
