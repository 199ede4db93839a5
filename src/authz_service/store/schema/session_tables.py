"""Exchanges by columns for queries, the budgets that each counts for, and results that model servers keep."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, text

from authz_service.store.schema.base import metadata


def _index_but(column: str, most: str) -> Index:
    """Of the rows that have another value than `most`, a literal of SQL."""
    others = text(f"{column} <> {most}")
    return Index(f"sessions_{column}", column, "seq", sqlite_where=others, postgresql_where=others)


sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("instance", String, nullable=False),
    Column("caller", String, nullable=False),
    Column("caller_detail", Text),
    Column("subject", String, nullable=False),
    Column("person", String, nullable=False),
    Column("api", String, nullable=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    Column("model", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("hold", String),
    Column("status", String, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("key", String),
    # What limits count it for: estimated while it is under way, then as the model said.
    Column("tokens", BigInteger),
    # Of its bodies on record.
    Column("bytes", BigInteger),
    # How many requests were refused as it was, soon after, and are counted with it.
    Column("repeated", BigInteger),
    Index("sessions_seq", "seq", unique=True),
    Index("sessions_subject", "subject", "seq"),
    # One for each filter of a list; where most rows have the same value, for the others alone.
    Index("sessions_started", "started_at", "seq"),
    Index("sessions_model", "model", "seq"),
    Index("sessions_rule", "rule", "seq"),
    Index("sessions_caller", "caller", "seq"),
    _index_but("person", "''"),
    _index_but("decision", "'allow'"),
    _index_but("status", "'completed'"),
    # When a key was last used; most sessions have none.
    Index(
        "sessions_key",
        "key",
        "started_at",
        sqlite_where=text("key IS NOT NULL"),
        postgresql_where=text("key IS NOT NULL"),
    ),
    # Recovery looks for these at each start.
    Index(
        "sessions_unended",
        "instance",
        "seq",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

session_budgets = Table(
    "session_budgets",
    metadata,
    # Of groups, as the configuration calls it; and the number of a session that counts for it.
    Column("budget", String, primary_key=True),
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    # Purges and verification go by the session.
    Index("session_budgets_session", "session"),
    sqlite_with_rowid=False,
)

kept_results = Table(
    "kept_results",
    metadata,
    # A pseudonym of what the model server calls it; the entry that says so; and of whose it is.
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String, nullable=False),
    # Purges and verification go by the entry, erasures by the person.
    Index("kept_results_seq", "seq"),
    Index("kept_results_owner", "owner", "seq"),
    sqlite_with_rowid=False,
)
