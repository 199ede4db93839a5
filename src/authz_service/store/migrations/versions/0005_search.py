"""Indexes for the filters of a list of sessions, and the tables of the search index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What was made from a payload goes with it, in the same transaction, whoever deletes it.
_SQLITE_FORGETS = """
CREATE TRIGGER search_forgets AFTER DELETE ON payloads BEGIN
    DELETE FROM search_texts WHERE rowid IN (SELECT session FROM search_sources WHERE digest = OLD.digest);
    DELETE FROM search_marks WHERE mark >= 'group:' AND mark < 'group;'
        AND session IN (SELECT session FROM search_sources WHERE digest = OLD.digest);
    DELETE FROM search_marks WHERE mark >= 'reviewer:' AND mark < 'reviewer;'
        AND session IN (SELECT session FROM search_sources WHERE digest = OLD.digest);
    DELETE FROM search_sources WHERE digest = OLD.digest;
END
"""
_SQLITE_FORGETS_SESSIONS = """
CREATE TRIGGER search_forgets_sessions AFTER DELETE ON sessions BEGIN
    DELETE FROM search_texts WHERE rowid = OLD.seq;
    DELETE FROM search_marks WHERE session = OLD.seq;
    DELETE FROM search_sources WHERE session = OLD.seq;
END
"""
_POSTGRES_FORGETS = """
CREATE FUNCTION search_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_texts t USING search_sources s, gone g
        WHERE s.digest = g.digest AND t.session = s.session;
    DELETE FROM search_marks m USING search_sources s, gone g
        WHERE s.digest = g.digest AND m.session = s.session
        AND (starts_with(m.mark, 'group:') OR starts_with(m.mark, 'reviewer:'));
    DELETE FROM search_sources s USING gone g WHERE s.digest = g.digest;
    RETURN NULL;
END
$$
"""
_POSTGRES_TRIGGER = """
CREATE TRIGGER search_forgets AFTER DELETE ON payloads REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION search_forget()
"""
_POSTGRES_FORGETS_SESSIONS = """
CREATE FUNCTION search_forget_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search_texts WHERE session = OLD.seq;
    DELETE FROM search_marks WHERE session = OLD.seq;
    DELETE FROM search_sources WHERE session = OLD.seq;
    RETURN NULL;
END
$$
"""
_POSTGRES_TRIGGER_SESSIONS = """
CREATE TRIGGER search_forgets_sessions AFTER DELETE ON sessions
FOR EACH ROW EXECUTE FUNCTION search_forget_session()
"""
_SQLITE_TEXTS = """
CREATE VIRTUAL TABLE search_texts USING fts5(prompt, answer, tokenize = 'unicode61 remove_diacritics 0')
"""


def upgrade() -> None:
    """The index is empty, and is filled from the record by whoever serves it."""
    _index_sessions()
    op.create_table(
        "search_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("has_texts", sa.Boolean, nullable=False),
    )
    op.execute("INSERT INTO search_state (id, seq, has_texts) VALUES (1, 0, false)")
    op.create_table(
        "search_marks",
        sa.Column("mark", sa.String, primary_key=True),
        sa.Column("session", _number, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_marks_session", "search_marks", ["session"])
    op.create_table(
        "search_sources",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("session", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_sources_session", "search_sources", ["session"])
    _texts()


def _index_sessions() -> None:
    op.create_index("sessions_started", "sessions", ["started_at", "seq"])
    op.create_index("sessions_model", "sessions", ["model", "seq"])
    op.create_index("sessions_rule", "sessions", ["rule", "seq"])
    op.create_index("sessions_caller", "sessions", ["caller", "seq"])
    for name in ("person", "decision", "status"):
        most = {"person": "''", "decision": "'allow'", "status": "'completed'"}[name]
        condition = sa.text(f"{name} <> {most}")
        op.create_index(
            f"sessions_{name}",
            "sessions",
            [name, "seq"],
            sqlite_where=condition,
            postgresql_where=condition,
        )


def _texts() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE_TEXTS)
        op.execute(_SQLITE_FORGETS)
        op.execute(_SQLITE_FORGETS_SESSIONS)
        return
    op.create_table(
        "search_texts",
        sa.Column("session", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("words", TSVECTOR, nullable=False),
    )
    op.create_index("search_texts_words", "search_texts", ["words"], postgresql_using="gin")
    op.execute(_POSTGRES_FORGETS)
    op.execute(_POSTGRES_TRIGGER)
    op.execute(_POSTGRES_FORGETS_SESSIONS)
    op.execute(_POSTGRES_TRIGGER_SESSIONS)
