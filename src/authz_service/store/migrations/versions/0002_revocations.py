"""Tokens that were withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row for each id or subject."""
    op.create_table(
        "revocations",
        sa.Column("issuer", sa.String, primary_key=True),
        sa.Column("by", sa.String, primary_key=True),
        sa.Column("value", sa.String, primary_key=True),
        sa.Column("until", sa.BigInteger),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
