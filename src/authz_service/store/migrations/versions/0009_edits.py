"""Holds whose bytes a reviewer has edited, or answered: from when on their votes count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has edited the holds that are there: all their votes count."""
    op.add_column("holds", sa.Column("begun_at", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE holds SET begun_at = created_at")
