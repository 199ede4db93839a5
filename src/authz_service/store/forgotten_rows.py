"""What the entries about retention say, read as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import Executable, Result, Row, select

from authz_service.audit.entry import ReadEntry
from authz_service.audit.forgotten import SESSION, Forgotten
from authz_service.audit.retention import Retention
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound


class Reads(Protocol):
    """A consistent view of the record."""

    def read(self, statement: Executable) -> Result[Any]:
        """Run a query."""
        ...


def read_forgotten(reader: Reads, known: Forgotten | None = None) -> Forgotten:
    """All that was purged, erased and kept, for whoever lets go of more.

    What is `known`, from entries that are committed, is not read again. Raises `Unavailable`
    (`record_damaged`) where one of these entries is not as it was recorded: it may be a legal hold.
    """
    known = known or Forgotten()
    new: list[ReadEntry] = []
    for row in _rows(reader, after=known.last):
        entry = sound(row)
        if entry is None:
            raise _damaged(f"entry {row.seq}, which is about retention,")
        new.append(entry)
    try:
        return _followed_by(known, new) if new else known
    except ValueError as error:
        raise _damaged("what the record says of its retention") from error


def accounted_for(reader: Reads) -> Forgotten:
    """The same for whoever verifies the record: an entry that is not as it was recorded, which is named as
    such, accounts for nothing. Raises `ValueError` for one of another form."""
    read = (sound(row) for row in _rows(reader))
    return _followed_by(Forgotten(), (entry for entry in read if entry is not None))


class SeenForgotten:
    """Reads it on from where it came to. For views of what is committed: a transaction may be rolled back."""

    def __init__(self) -> None:
        self._known = Forgotten()

    def read(self, reader: Reads) -> Forgotten:
        """As `read_forgotten`."""
        self._known = known = read_forgotten(reader, self._known)
        return known


def is_purged(row: Row[Any], forgotten: Forgotten) -> bool:
    """Whether an entry has no bytes, and a purge took them; what else has none has been damaged."""
    return not row.body and forgotten.purge_of(Retention.ENTRIES, row.seq, row.session) is not None


def _rows(reader: Reads, *, after: int = 0) -> Sequence[Row[Any]]:
    """The entries above a number, in order."""
    filed = (entries.c.session == SESSION) & (entries.c.seq > after)
    return reader.read(select(*SOUND).where(filed).order_by(entries.c.seq)).all()


def _followed_by(known: Forgotten, new: Iterable[ReadEntry]) -> Forgotten:
    return known.followed_by((e.sequence, e.at, e.kind, e.data) for e in new)


def _damaged(what: str) -> Unavailable:
    message = (
        f"{what} is damaged, and nobody can tell what is on legal hold: nothing is purged or erased until it"
        " is as a backup or an export has it; what else is wrong says: authz audit verify"
    )
    return Unavailable(message, code=DAMAGED)
