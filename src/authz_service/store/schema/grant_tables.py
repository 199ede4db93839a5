"""Grants, their votes and ends, and their uses."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from authz_service.store.schema.base import NUMBER, metadata

grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    # The last entry about it: what is compared when it is set.
    Column("changed", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("beneficiary", String, nullable=False),
    Column("model", String, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Until when it may still get its votes.
    Column("deadline", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("grants_seq", "seq", unique=True),
    Index("grants_hold", "hold"),
    Index("grants_beneficiary", "beneficiary", "until"),
)

grant_acts = Table(
    "grant_acts",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("grant_id", String, nullable=False),
    # That of the grant: a request with the same key again finds what it made.
    Column("hold", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("grant_acts_grant", "grant_id", "seq"),
    Index("grant_acts_once", "hold", "voter", "idempotency_key", unique=True),
)

grant_uses = Table(
    "grant_uses",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("grant_id", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("session", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    # The last guard of "at most so many uses", whatever the code above it does.
    Index("grant_uses_once", "grant_id", "number", unique=True),
    Index("grant_uses_session", "session"),
)
