"""The rows of the outbox held against the entries that they tell of, and those that tell of them.

A row may be gone: deliveries are kept for a while only, and that something was given up stays an entry.
That a receiver has taken one is on no record but the row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import ReadEntry, decode
from authz_service.core.notifications import EVENTS, DeliveryState, event_of
from authz_service.store.queueing import deadline_of
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import entries, outbox
from authz_service.store.verify_payloads import Say

_LAST = {
    DeliveryState.GIVEN_UP.value: (Kind.NOTIFICATION_GIVEN_UP,),
    # It was never given up, or is tried again, and may have arrived since.
    DeliveryState.QUEUED.value: (None, Kind.NOTIFICATION_RETRIED),
    DeliveryState.DELIVERED.value: (None, Kind.NOTIFICATION_RETRIED),
}


def check_outbox(reader: RecordReader, say: Say) -> None:
    """Say of every row what is not as its entries have it. Entries that lost their bytes say nothing."""
    bodies = select(entries.c.body).where(entries.c.seq == outbox.c.seq).scalar_subquery()
    last = select(entries.c.body).where(entries.c.seq == outbox.c.changed).scalar_subquery()
    query = select(outbox, bodies.label("told"), last.label("last")).order_by(outbox.c.seq)
    for row in reader.read(query):
        wrong = _wrong(row)
        if wrong:
            say(f"notification {row.id}", wrong)


def _wrong(row: Row[Any]) -> str:
    if row.told is None:
        return "has a row, and no entry that it tells of"
    try:
        told = decode(bytes(row.told)) if row.told else None
        last = decode(bytes(row.last)) if row.last else None
        column = _other_column(row, told) if told is not None else ""
        if column:
            return f"its column {column} is not what the entry says that it tells of"
        if row.changed is not None and row.last is None:
            return "its column changed names no entry"
        is_known = row.last is None or last is not None
        if row.state not in _LAST or (is_known and not _fits(row, last)):
            return "its column state is not what its entries make of it"
    except (KeyError, ValueError, TypeError):
        return "its entries cannot be read"
    return ""


def _other_column(row: Row[Any], told: ReadEntry) -> str:
    derived = {
        "hold": told.data["hold"],
        "grant_id": told.data.get("grant"),
        "event": event_of(told.kind, told.data) if told.kind in EVENTS.values() else "",
        "at": told.at,
        "deadline": deadline_of(told.data.get("deadline")),
    }
    return next((name for name, value in derived.items() if getattr(row, name) != value), "")


def _fits(row: Row[Any], last: ReadEntry | None) -> bool:
    """Whether the last entry about the row itself is one that leaves it in its state."""
    if last is not None and (last.data["notification"], last.data["receiver"]) != (row.id, row.receiver):
        return False
    return (None if last is None else last.kind) in _LAST[row.state]
