"""The record: entries, the payloads they name by digest, and the head of their tree."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table

from authz_service.store.schema.base import NUMBER, metadata

entries = Table(
    "entries",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("session", String),
    Column("body", LargeBinary, nullable=False),
    # Its hash in the tree, by which a changed entry is named. It stays when the body's time is over, and
    # the body is empty then.
    Column("leaf", LargeBinary),
    Index("entries_session", "session", "seq"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    # With a key this is the seed of the payload's own key, and its salt is derived from both.
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("key", String),
    Column("at", BigInteger, nullable=False, server_default="0"),
    Column("retention", String, nullable=False, server_default="payloads"),
    Index("payloads_at", "retention", "at"),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    # The id of the log's key (4 bytes) and its signature over the checkpoint of this head.
    Column("signature", LargeBinary),
    CheckConstraint("id = 1", name="head_is_one_row"),
)
