"""Names of sessions and holds in the order of their bytes, as lookups by what they begin with need them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On SQLite the primary keys have that order."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("sessions", "holds"):
            op.create_index(f"{table}_prefix", table, [sa.text('id COLLATE "C"')])
