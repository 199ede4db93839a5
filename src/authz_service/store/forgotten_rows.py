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


def read_forgotten(reader: Reads) -> Forgotten:
    """All that was purged, erased and kept; raises `Unavailable` where that cannot be read."""
    try:
        return Forgotten.of((e.sequence, e.at, e.kind, e.data) for e in retention_entries(reader))
    except ValueError as error:
        raise Unavailable(
            "what the record says of its retention is damaged", code="record_damaged"
        ) from error


def retention_entries(reader: Reads) -> list[ReadEntry]:
    """The entries themselves, in order; raises `ValueError`."""
    query = select(entries.c.body).where(entries.c.session == SESSION).order_by(entries.c.seq)
    return [decode(bytes(body)) for body in reader.read(query).scalars()]
