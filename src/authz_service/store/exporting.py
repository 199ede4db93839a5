"""How much an export takes out, which goes on record before it does."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from authz_service.audit.entry import decode
from authz_service.audit.retention import Retention
from authz_service.store.schema import entries, payloads
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
    """When the entry was recorded, or the next one (the last one before) that still has its bytes."""
    query = select(entries.c.body).where(func.length(entries.c.body) > 0).limit(1)
    if is_first:
        query = query.where(entries.c.seq >= sequence).order_by(entries.c.seq)
    else:
        query = query.where(entries.c.seq <= sequence).order_by(entries.c.seq.desc())
    body = reader.read(query).scalar()
    return None if body is None else decode(bytes(body)).at
