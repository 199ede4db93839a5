"""See `LiveSessions`: what is new on record, and which exchanges are to end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import structlog
from sqlalchemy import func, select

from authz_service.audit.columns import KILLING, clean
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import ReadEntry
from authz_service.core.live_sessions import ToEnd
from authz_service.core.sessions import Entry, Session
from authz_service.errors import Conflict, NotFound
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.column_texts import seconds
from authz_service.store.ending import kill_hold
from authz_service.store.payload_rows import shown_payloads
from authz_service.store.queries import damaged_entry, with_payloads
from authz_service.store.schema import entries, sessions
from authz_service.store.session_queries import session
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader, Transaction

log = structlog.get_logger(__name__)

HELD = "held"
TO_END_AT_ONCE = 100
ENTRIES_AT_ONCE = 200
NEWEST_AT_ONCE = 32
BYTES_AT_ONCE = 16 * 1024 * 1024  # of payloads, after the first entry
_KILLED = Kind.SESSION_KILLED.value.encode()


def kill(transaction: Transaction, session_id: str, entry: EntryDraft) -> Session:
    """See `LiveSessions.kill`."""
    found = session(transaction, session_id)
    if found is None:
        raise NotFound("there is no such session", code="session_not_found")
    if found.ended_at is not None:
        raise Conflict(f"this session has ended before ({found.status})", code="session_ended")
    transaction.record(entry)
    if found.hold is not None:
        kill_hold(transaction, found.hold, session=found.id)
    marked = session(transaction, session_id)
    return found if marked is None else marked


def to_end(reader: Reader, running: Collection[str]) -> Sequence[ToEnd]:
    """See `LiveSessions.to_end`."""
    # The second condition leads to the index, which is without those that completed.
    marked = (sessions.c.status == KILLING) & (sessions.c.status != "completed")
    query = select(sessions.c.id, sessions.c.seq).where(marked).order_by(sessions.c.seq).limit(TO_END_AT_ONCE)
    found: list[str] = []
    rows = reader.read(query).all()
    while rows and len(found) < TO_END_AT_ONCE:
        # Those of a process that is gone stay marked: they hide no later one.
        found += [row.id for row in rows if row.id in running]
        rows = reader.read(query.where(sessions.c.seq > rows[-1].seq)).all() if _is_full(rows) else []
    return [ToEnd(name, _reason(reader, name)) for name in found[:TO_END_AT_ONCE]]


def _is_full(page: Sequence[object]) -> bool:
    return len(page) == TO_END_AT_ONCE


def waiting_for(reader: Reader, holds: Collection[str]) -> Mapping[str, int]:
    """How many sessions wait for each of `holds`, whichever process has them; a few hundred holds at most."""
    wait = (
        sessions.c.hold.in_([clean(hold) for hold in holds])
        & (sessions.c.status == HELD)
        & (sessions.c.status != "completed")  # leads to the index, as above
    )
    query = select(sessions.c.hold, func.count().label("number")).where(wait).group_by(sessions.c.hold)
    return {str(row.hold): int(row.number) for row in reader.read(query)}


def entries_after(reader: Reader, sequence: int, session_id: str) -> Sequence[Entry]:
    """See `LiveSessions.entries_after`."""
    query = select(*SOUND).where(entries.c.seq > sequence, entries.c.body != b"")
    if session_id:
        query = query.where(entries.c.session == clean(session_id))
    rows = reader.read(query.order_by(entries.c.seq).limit(ENTRIES_AT_ONCE)).all()
    found: list[Entry] = []
    size = 0
    for row in rows:
        read = sound(row)
        if read is None:
            found.append(damaged_entry(row, found[-1].at if found else seconds(reader.now)))
            continue
        size += sum(reference.size for reference in read.payloads.values()) if session_id else 0
        if found and size > BYTES_AT_ONCE:
            break
        wanted = {reference.digest for reference in read.payloads.values()} if session_id else set()
        found.append(with_payloads(row, read, shown_payloads(reader, wanted), {}))
    return found


def _reason(reader: Reader, session_id: str) -> str:
    """As the last order to end it says; "" where that cannot be read: it ends all the same."""
    query = select(*SOUND).where(entries.c.session == clean(session_id)).order_by(entries.c.seq.desc())
    rows = reader.read(query.limit(NEWEST_AT_ONCE)).all()
    while rows:
        for row in rows:
            entry = sound(row) if _KILLED in as_bytes(row.body) else None
            if entry is not None and entry.kind == Kind.SESSION_KILLED:
                return _said(reader, entry)
        rows = reader.read(query.where(entries.c.seq < rows[-1].seq).limit(NEWEST_AT_ONCE)).all()
    return ""


def _said(reader: Reader, order: ReadEntry) -> str:
    reference = order.payloads.get("reason")
    if reference is None:
        return ""
    found = shown_payloads(reader, {reference.digest})
    body = found.get(reference.digest, b"")
    if body is None:
        log.error("payload.damaged", entry=order.sequence, payload="reason")
        return ""
    return body.decode(errors="replace")
