"""The tables of the search index: derived from entries and payloads, and from nothing else.

They are no part of the record and are not verified: whoever changed them could hide a session from a
search, and from nothing else. Emptied, with `search_state` at 0, they are made anew.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import TSVECTOR

from authz_service.store.schema.base import NUMBER

PREFIX = "search_"
"""Of every table here; those that SQLite keeps for its full-text index have it too."""

search_metadata = MetaData()

state = Table(
    "search_state",
    search_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # The last entry that the index has seen.
    Column("seq", BigInteger, nullable=False),
    Column("has_texts", Boolean, nullable=False),
)

marks = Table(
    "search_marks",
    search_metadata,
    Column("mark", String, primary_key=True),
    # The session's number: `sessions.seq`.
    Column("session", NUMBER, primary_key=True, autoincrement=False),
    Index("search_marks_session", "session"),
    sqlite_with_rowid=False,
)

sources = Table(
    "search_sources",
    search_metadata,
    # The payloads that a session's rows were made from: the rows go when one of these goes.
    Column("digest", LargeBinary, primary_key=True),
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    Index("search_sources_session", "session"),
    sqlite_with_rowid=False,
)

texts_in_postgres = Table(
    "search_texts",
    MetaData(),
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    Column("words", TSVECTOR, nullable=False),
    Index("search_texts_words", "words", postgresql_using="gin"),
)

texts_in_sqlite = Table(
    "search_texts",
    MetaData(),
    Column("rowid", Integer, primary_key=True),
    Column("prompt", Text),
    Column("answer", Text),
)
"""An FTS5 table; its rowid is the session's number."""

REVIEWER = "reviewer:"
PERSONAL = ("group:", REVIEWER)
"""What marks that came from payloads begin with."""
