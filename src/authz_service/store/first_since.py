"""Finds the entry that a time begins with: they are numbered in the order of their times."""

from __future__ import annotations

from sqlalchemy import func, select

from authz_service.errors import Misconfigured
from authz_service.store.forgotten_rows import Reads
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound


def first_since(reader: Reads, at: int, last: int) -> int:
    """The number of the first entry up to `last` at or after a time (microseconds); `last` + 1 for none.

    Entries that were purged count as those after them: their own time is gone. Raises `Misconfigured`
    where one that is looked at is missing, or not as it was recorded.
    """
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        if reader.read(select(entries.c.seq).where(entries.c.seq == middle)).scalar() is None:
            raise Misconfigured(f"entry {middle} is missing; run: authz audit verify --live")
        found = _at_or_after(reader, middle)
        low, high = (low, middle) if found is None or found >= at else (middle + 1, high)
    return low


def time_of(reader: Reads, sequence: int) -> int:
    """When an entry was recorded, or the next after it that was not purged; 0 where there is none.

    Raises `Misconfigured` where it is not as it was recorded.
    """
    return (_at_or_after(reader, sequence) or 0) if sequence > 0 else 0


def _at_or_after(reader: Reads, sequence: int) -> int | None:
    """The time of this entry, or of the next one that has its bytes."""
    has_bytes = (entries.c.seq >= sequence) & (func.length(entries.c.body) > 0)
    row = reader.read(select(*SOUND).where(has_bytes).order_by(entries.c.seq).limit(1)).first()
    entry = None if row is None else sound(row)
    if row is not None and entry is None:
        raise Misconfigured(f"entry {row.seq} is damaged; name a number, or run: authz audit verify --live")
    return None if entry is None else entry.at
