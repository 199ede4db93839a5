"""How much an export takes out, which goes on record before it does."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from authz_service.audit.retention import Retention
from authz_service.store.schema import entries, payloads
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader

_TAKEN = (Retention.PAYLOADS.value, Retention.ENTRIES.value)
"""Values before masking go out with no export."""


def payloads_of(reader: Reader, first: int, last: int | None) -> int:
    """See `SqlStore.payloads_of`: those of the time of these entries, which an index counts."""
    wanted: ColumnElement[bool] = payloads.c.retention.in_(_TAKEN)
    if first > 1:
        begin = _at(reader, first, is_first=True)
        if begin is None:
            return 0
        wanted &= payloads.c.at >= begin
    if last is not None:
        end = _at(reader, last, is_first=False)
        if end is None:
            return 0
        wanted &= payloads.c.at <= end
    return int(reader.read(select(func.count()).where(wanted)).scalar_one())


def _at(reader: Reader, sequence: int, *, is_first: bool) -> int | None:
    """When the entry was recorded, or the next one (the last one before) that is there as it was."""
    query = select(*SOUND).where(func.length(entries.c.body) > 0).limit(1)
    query = query.order_by(entries.c.seq if is_first else entries.c.seq.desc())
    while True:
        near = entries.c.seq >= sequence if is_first else entries.c.seq <= sequence
        row = reader.read(query.where(near)).first()
        entry = None if row is None else sound(row)
        if row is None or entry is not None:
            return None if entry is None else entry.at
        sequence = row.seq + (1 if is_first else -1)
