"""Sealed payloads, and how long each is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SET = sa.text("UPDATE payloads SET at = :at, retention = :retention WHERE digest = :digest")


def upgrade() -> None:
    """Payloads that are there already stay in clear; their time is that of their entry."""
    op.add_column("payloads", sa.Column("key", sa.String))
    op.add_column("payloads", sa.Column("at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("payloads", sa.Column("retention", sa.String, nullable=False, server_default="payloads"))
    connection = op.get_bind()
    for (body,) in connection.execute(sa.text("SELECT body FROM entries ORDER BY seq")):
        entry = json.loads(bytes(body))
        at = (datetime.fromisoformat(entry["at"]) - _EPOCH) // timedelta(microseconds=1)
        retention = "entries" if entry["kind"] == "policy.activated" else "payloads"
        for reference in entry["payloads"].values():
            digest = bytes.fromhex(reference["digest"])
            connection.execute(_SET, {"at": at, "retention": retention, "digest": digest})
    op.create_index("payloads_at", "payloads", ["retention", "at"])
