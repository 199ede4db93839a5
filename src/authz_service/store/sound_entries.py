"""Entries as whoever lets go of the record reads them: one that is not as it was recorded is told apart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from authz_service.audit.entry import ReadEntry, decode
from authz_service.audit.merkle import leaf_hash
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.schema import entries

SOUND = (entries.c.seq, entries.c.session, entries.c.body, entries.c.leaf)
"""The columns that `sound` needs."""


def sound(row: Row[Any]) -> ReadEntry | None:
    """What the entry of a row says; None where its bytes are not those of the tree, or its columns others.

    For entries that have bytes: those of one that was purged are empty.
    """
    try:
        body = as_bytes(row.body)  # SQLite gives back whatever was put there
        if row.leaf is not None and leaf_hash(body) != as_bytes(row.leaf):
            return None
        entry = decode(body)
    except (ValueError, TypeError):
        return None
    return entry if (entry.sequence, entry.session) == (row.seq, row.session) else None
