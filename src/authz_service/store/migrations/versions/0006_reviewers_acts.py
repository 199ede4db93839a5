"""What reviewers do beside voting, turns of stages, and decisions that are to be reviewed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TURNING = sa.text("turn_at IS NOT NULL")
_TO_REVIEW = sa.text("review = 'due'")


def upgrade() -> None:
    """Holds that are there have no turns: their stages had neither reminders nor escalations."""
    op.add_column("holds", sa.Column("turn_at", sa.BigInteger))
    op.add_column("holds", sa.Column("review", sa.String, nullable=False, server_default=""))
    op.create_index("holds_turn", "holds", ["turn_at"], sqlite_where=_TURNING, postgresql_where=_TURNING)
    op.create_index("holds_review", "holds", ["seq"], sqlite_where=_TO_REVIEW, postgresql_where=_TO_REVIEW)
    op.create_table(
        "hold_acts",
        sa.Column("seq", _number, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("voter", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("idempotency_key", sa.String),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("hold_acts_hold", "hold_acts", ["hold", "seq"])
    op.create_index("hold_acts_once", "hold_acts", ["hold", "voter", "idempotency_key"], unique=True)
