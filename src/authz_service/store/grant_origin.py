"""The hold that a grant was made from: sound, or the grant covers nothing; for its end it need not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.draft import Subject
from authz_service.store.damage import DAMAGE, damaged
from authz_service.store.hold_rows import requester_of
from authz_service.store.loading import find_hold, require_readable
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader


@dataclass(frozen=True, slots=True)
class Origin:
    """Where entries about a grant belong: to the session of its hold, and to whoever sent that request."""

    session: str | None
    requester: Subject


def origin_of(hold: Row[Any]) -> Origin:
    """By the row of the hold, which is sound."""
    return Origin(hold.session, requester_of(hold))


def recorded_origin(reader: Reader, grant: Row[Any]) -> Origin:
    """By the entry that proposed the grant, whatever became of the hold's row.

    Where that is not as it was recorded it is nobody's: a grant can be ended all the same.
    """
    try:
        row = reader.read(select(*SOUND).where(entries.c.seq == grant.seq)).one_or_none()
        entry = None if row is None else sound(row)
        if entry is None:
            return Origin(None, "")
        if entry.data.get("grant") == grant.id:
            return Origin(entry.session, str(entry.data["person"]))
        hold = find_hold(reader, grant.hold)
        return Origin(None, "") if hold is None else origin_of(hold)
    except DAMAGE:
        return Origin(None, "")


def require_origin(reader: Reader, grant: Row[Any]) -> None:
    """Raise `Unavailable` (`record_damaged`) where the hold is not there, or cannot be read."""
    hold = find_hold(reader, grant.hold)
    if hold is None:
        raise damaged(f"hold {grant.hold}")
    require_readable(reader, hold)
