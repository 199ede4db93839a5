"""What a session counts for in limits of tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those that have ended count for what their models said."""
    op.add_column("sessions", sa.Column("tokens", sa.BigInteger))
    op.execute(
        "UPDATE sessions SET tokens = coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)"
        " WHERE prompt_tokens IS NOT NULL OR completion_tokens IS NOT NULL"
    )
