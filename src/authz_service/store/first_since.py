"""Finds the entry that a time begins with: they are numbered in the order of their times."""

from __future__ import annotations

from sqlalchemy import func, select

from authz_service.audit.entry import decode
from authz_service.errors import Misconfigured
from authz_service.store.forgotten_rows import Reads
from authz_service.store.schema import entries


def first_since(reader: Reads, at: int, last: int) -> int:
    """The number of the first entry up to `last` at or after a time (microseconds); `last` + 1 for none.

    Entries that were purged count as those after them: their own time is gone.
    """
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        body = reader.read(select(entries.c.body).where(entries.c.seq == middle)).scalar()
        if body is None:
            raise Misconfigured(f"entry {middle} is missing; run: authz audit verify --live")
        body = body or _body_after(reader, middle)
        low, high = (low, middle) if not body or decode(bytes(body)).at >= at else (middle + 1, high)
    return low


def time_of(reader: Reads, sequence: int) -> int:
    """When an entry was recorded, or the next after it that was not purged; 0 where there is none."""
    body = _body_after(reader, sequence - 1)
    return 0 if body is None or sequence < 1 else decode(body).at


def _body_after(reader: Reads, sequence: int) -> bytes | None:
    """The bytes of the next entry that has some."""
    has_bytes = (entries.c.seq > sequence) & (func.length(entries.c.body) > 0)
    query = select(entries.c.body).where(has_bytes).order_by(entries.c.seq).limit(1)
    found = reader.read(query).scalar()
    return None if found is None else bytes(found)
