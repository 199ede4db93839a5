"""Holds, the votes on them, and what reviewers do beside voting."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from authz_service.store.schema.base import NUMBER, metadata

IS_OPEN = "state IN ('pending', 'approved')"

_TURNING = "turn_at IS NOT NULL"

TO_REVIEW = "review = 'due'"

holds = Table(
    "holds",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("session", String, nullable=False),
    Column("identity", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("forward", LargeBinary, nullable=False),
    Column("forward_size", BigInteger, nullable=False),
    Column("subject", String, nullable=False),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("released_to", String),
    # When the next turn of an open stage is due; NULL when none is.
    Column("turn_at", BigInteger),
    # From when on votes count: when it was opened, or edited last.
    Column("begun_at", BigInteger, nullable=False, server_default="0"),
    Column("review", String, nullable=False, server_default=""),
    Index("holds_seq", "seq", unique=True),
    Index("holds_changed", "changed"),
    Index("holds_request", "identity", "fingerprint", "seq"),
    Index("holds_subject", "subject", "seq"),
    # The last guard of "one open hold for each person and request", whatever the code above it does.
    Index(
        "holds_one_open",
        "identity",
        "fingerprint",
        unique=True,
        sqlite_where=text(IS_OPEN),
        postgresql_where=text(IS_OPEN),
    ),
    Index("holds_open", "seq", sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
    Index("holds_deadline", "deadline", sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
    Index("holds_turn", "turn_at", sqlite_where=text(_TURNING), postgresql_where=text(_TURNING)),
    Index("holds_review", "seq", sqlite_where=text(TO_REVIEW), postgresql_where=text(TO_REVIEW)),
)

votes = Table(
    "votes",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("approves", Boolean, nullable=False),
    Column("digest", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("votes_hold", "hold", "seq"),
    # No key is NULL, and NULLs are distinct: then every vote is one of its own.
    Index("votes_once", "hold", "voter", "idempotency_key", unique=True),
)

hold_acts = Table(
    "hold_acts",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("hold_acts_hold", "hold", "seq"),
    Index("hold_acts_once", "hold", "voter", "idempotency_key", unique=True),
)
