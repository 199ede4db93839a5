"""Grants: what people voted for, and what went through under it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """There are none yet."""
    op.create_table(
        "grants",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("beneficiary", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("grants_seq", "grants", ["seq"], unique=True)
    op.create_index("grants_hold", "grants", ["hold"])
    op.create_index("grants_beneficiary", "grants", ["beneficiary", "until"])
    op.create_table(
        "grant_acts",
        sa.Column("seq", _Number, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("grant_id", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("voter", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("idempotency_key", sa.String),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("grant_acts_grant", "grant_acts", ["grant_id", "seq"])
    op.create_index("grant_acts_once", "grant_acts", ["hold", "voter", "idempotency_key"], unique=True)
    op.create_table(
        "grant_uses",
        sa.Column("seq", _Number, primary_key=True, autoincrement=False),
        sa.Column("grant_id", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("grant_uses_once", "grant_uses", ["grant_id", "number"], unique=True)
    op.create_index("grant_uses_session", "grant_uses", ["session"])
