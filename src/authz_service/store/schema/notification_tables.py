"""What receivers are to be told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, text

from authz_service.store.schema.base import metadata

_QUEUED = "state = 'queued'"

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),
    # The entry that it tells of; its kind, hold, grant, time and deadline are those of the columns.
    Column("seq", BigInteger, nullable=False),
    Column("receiver", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("event", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("deadline", BigInteger),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it is tried again; whoever has claimed it sets this to when others may.
    Column("next_at", BigInteger, nullable=False),
    Column("give_up_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("last_error", String, nullable=False),
    # The last entry of its own: that it was given up, or is tried again.
    Column("changed", BigInteger),
    # The grant that it is about; NULL where that is the hold itself.
    Column("grant_id", String),
    Index("outbox_once", "seq", "receiver", unique=True),
    Index("outbox_hold", "hold", "seq"),
    Index("outbox_due", "receiver", "next_at", sqlite_where=text(_QUEUED), postgresql_where=text(_QUEUED)),
)
