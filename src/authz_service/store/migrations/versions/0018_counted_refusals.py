"""How many requests were refused as a session was, and are counted with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those from before each has a session of its own."""
    op.add_column("sessions", sa.Column("repeated", sa.BigInteger))
