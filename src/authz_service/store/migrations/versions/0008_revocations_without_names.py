"""Withdrawn tokens by the number of their entry: who they are lies with its payloads, nowhere in clear."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is in force stays so."""
    rows = op.get_bind().execute(sa.text("SELECT seq, until, at FROM revocations")).all()
    op.drop_table("revocations")
    table = op.create_table(
        "revocations",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("until", sa.BigInteger),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    if rows:
        op.bulk_insert(table, [dict(row._mapping) for row in rows])
