"""The first tables, and the head of an empty record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_unended = sa.text("ended_at IS NULL")
_open = sa.text("state IN ('pending', 'approved')")


def upgrade() -> None:
    """Create everything. A revision that has been released is never edited: it is what databases have."""
    _record()
    _sessions()
    _holds()
    _votes()


def _record() -> None:
    op.create_table(
        "entries",
        sa.Column("seq", _number, primary_key=True, autoincrement=False),
        sa.Column("session", sa.String),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("entries_session", "entries", ["session", "seq"])
    op.create_table(
        "payloads",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="head_is_one_row"),
    )
    # RFC 6962 2.1: the tree hash of no leaves is SHA-256 of nothing.
    empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    op.bulk_insert(head, [{"id": 1, "size": 0, "root": empty, "frontier": b"", "last_at": 0}])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("instance", sa.String, nullable=False),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("caller_detail", sa.Text),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("api", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("hold", sa.String),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
    )
    op.create_index("sessions_seq", "sessions", ["seq"], unique=True)
    op.create_index("sessions_subject", "sessions", ["subject", "seq"])
    op.create_index(
        "sessions_unended",
        "sessions",
        ["instance", "seq"],
        sqlite_where=_unended,
        postgresql_where=_unended,
    )


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("forward", sa.LargeBinary, nullable=False),
        sa.Column("forward_size", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("released_to", sa.String),
    )
    op.create_index("holds_seq", "holds", ["seq"], unique=True)
    op.create_index("holds_changed", "holds", ["changed"])
    op.create_index("holds_request", "holds", ["identity", "fingerprint", "seq"])
    op.create_index(
        "holds_one_open",
        "holds",
        ["identity", "fingerprint"],
        unique=True,
        sqlite_where=_open,
        postgresql_where=_open,
    )
    op.create_index("holds_deadline", "holds", ["deadline"], sqlite_where=_open, postgresql_where=_open)


def _votes() -> None:
    op.create_table(
        "votes",
        sa.Column("seq", _number, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("voter", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("idempotency_key", sa.String),
        sa.Column("approves", sa.Boolean, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("votes_hold", "votes", ["hold", "seq"])
    op.create_index("votes_once", "votes", ["hold", "voter", "idempotency_key"], unique=True)
