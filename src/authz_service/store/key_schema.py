"""The tables of the key store: a database of its own, so that no backup of the record has the keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

key_metadata = MetaData()

keyring = Table(
    "authz_keyring",
    key_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
    # The name, wrapped by the master key: whoever cannot open it has another one.
    Column("proof", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="keyring_is_one_row"),
)

_LIVE = text("wrapped IS NOT NULL")

subject_keys = Table(
    "authz_subject_keys",
    key_metadata,
    Column("id", String, primary_key=True),
    # A pseudonym; of a key that is to seal nothing new, and waits for its end, with its own id behind it.
    Column("subject", String, nullable=False),
    # NULL once it was destroyed.
    Column("wrapped", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("destroyed_at", BigInteger),
    Index("authz_subject_keys_live", "subject", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
)

names_in_order = Index(
    "authz_subject_keys_in_order", subject_keys.c.subject.collate("C"), postgresql_where=_LIVE
).ddl_if(dialect="postgresql")
"""Finds a name and what begins with it, whatever the collation; SQLite's order is that of bytes anyway."""
