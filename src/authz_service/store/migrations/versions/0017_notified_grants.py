"""Notifications about grants: which one each is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is queued already is about holds."""
    op.add_column("outbox", sa.Column("grant_id", sa.String))
