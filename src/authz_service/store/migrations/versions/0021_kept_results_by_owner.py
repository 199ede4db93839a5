"""Whose a kept result is, in the order of their entries: an erasure takes those of one person."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No row changes."""
    op.create_index("kept_results_owner", "kept_results", ["owner", "seq"])
