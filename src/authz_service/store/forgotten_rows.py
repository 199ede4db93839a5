"""What the entries about retention say, read as one."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Executable, Result, select

from authz_service.audit.entry import ReadEntry, decode
from authz_service.audit.forgotten import SESSION, Forgotten
from authz_service.errors import Unavailable
from authz_service.store.schema import entries


class Reads(Protocol):
    """A consistent view of the record."""

    def read(self, statement: Executable) -> Result[Any]:
        """Run a query."""
        ...


def read_forgotten(reader: Reads, known: Forgotten | None = None) -> Forgotten:
    """All that was purged, erased and kept; raises `Unavailable` where that cannot be read.

    What is `known`, from entries that are committed, is not read again.
    """
    known = known or Forgotten()
    try:
        new = retention_entries(reader, after=known.last)
        return known.followed_by((e.sequence, e.at, e.kind, e.data) for e in new) if new else known
    except ValueError as error:
        raise Unavailable(
            "what the record says of its retention is damaged", code="record_damaged"
        ) from error


class SeenForgotten:
    """Reads it on from where it came to. For views of what is committed: a transaction may be rolled back."""

    def __init__(self) -> None:
        self._known = Forgotten()

    def read(self, reader: Reads) -> Forgotten:
        """As `read_forgotten`."""
        self._known = known = read_forgotten(reader, self._known)
        return known


def retention_entries(reader: Reads, *, after: int = 0) -> list[ReadEntry]:
    """The entries themselves above a number, in order; raises `ValueError`."""
    filed = (entries.c.session == SESSION) & (entries.c.seq > after)
    query = select(entries.c.body).where(filed).order_by(entries.c.seq)
    return [decode(bytes(body)) for body in reader.read(query).scalars()]
