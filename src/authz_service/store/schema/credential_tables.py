"""API keys, tokens that were withdrawn, and what may be used once."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table

from authz_service.store.schema.base import NUMBER, metadata

revocations = Table(
    "revocations",
    metadata,
    # The entry that withdrew them, with whose payloads lies who and why.
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("until", BigInteger),
    Column("at", BigInteger, nullable=False),
)

used_once = Table(
    "used_once",
    metadata,
    # SHA-256 of what may be used once: an assertion, a login, a code.
    Column("digest", String, primary_key=True),
    Column("until", BigInteger, nullable=False),
    # The entry that says for what.
    Column("seq", BigInteger, nullable=False),
    Index("used_once_until", "until"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    # A pseudonym, "" for those from before entries had one.
    Column("name", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("replaces", String),
    Column("seq", BigInteger, nullable=False),
    # The entries that made and revoked it, with whose payloads lies whose it is.
    Column("made", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Index("api_keys_hash", "hash", unique=True),
    Index("api_keys_name", "name"),
    # One key takes the place of another; no key is NULL, and NULLs are distinct.
    Index("api_keys_replaces", "replaces", unique=True),
    Index("api_keys_seq", "seq"),
)
