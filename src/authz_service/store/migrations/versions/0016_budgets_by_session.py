"""What counts for groups' budgets by session, as purges and verification look for it."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index of the rows that there are."""
    op.create_index("session_budgets_session", "session_budgets", ["session"])
