"""The record as others read it: heads, entries and payloads in order, from one view, a page at a time.

Reading takes no lock that the service needs: it works on a store that is being written to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Result, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from authz_service.core.ports import DAMAGED
from authz_service.errors import Misconfigured, Unavailable
from authz_service.store.away import cannot_be_opened
from authz_service.store.bulk_rows import (
    EntryRow,
    PayloadRow,
    entry_rows,
    payload_rows,
    query_of,
    rows_among,
)
from authz_service.store.connecting import open_database
from authz_service.store.faults import without_values
from authz_service.store.first_since import first_since
from authz_service.store.migrate import SchemaState, state_of
from authz_service.store.payload_rows import Keys, open_payload
from authz_service.store.read_only import read_only_engine
from authz_service.store.schema import entries, head, payloads, sessions

ENTRIES_AT_ONCE = 4096
PAYLOAD_BYTES_AT_ONCE = 16 * 1024 * 1024
DIGESTS_AT_ONCE = 400  # SQLite bounds the parameters of a statement
PATIENCE = 60.0


class RecordReader:
    """One consistent view of a store's record."""

    def __init__(self, connection: Connection, keys: Keys | None = None) -> None:
        self._connection = connection
        self.keys = keys

    def read(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Result[Any]:
        """Run a query."""
        return self._connection.execute(statement, values or {})

    def head(self) -> Any:
        """The head's row: size, root, frontier, last_at, signature; None when it is gone."""
        return self.read(select(head).where(head.c.id == 1)).one_or_none()

    def largest(self) -> int:
        """The number of the last entry that there is."""
        return self.read(select(func.max(entries.c.seq))).scalar() or 0

    def pages(self, first: int, last: int) -> Iterator[Sequence[EntryRow]]:
        """The rows of entries `first` to `last`, in order, some thousands at once."""
        for _, page in self.ranges(first, last):
            yield page

    def lacks_keys(self) -> bool:
        """Whether there are payloads that no key of this view opens, as it has none."""
        sealed = select(payloads.c.digest).where(payloads.c.key.is_not(None)).limit(1)
        return self.keys is None and self.read(sealed).first() is not None

    def ranges(self, first: int, last: int) -> Iterator[tuple[int, Sequence[EntryRow]]]:
        """The rows of entries `first` to `last`, in order: so many numbers at once, as `between` has them.

        Numbers of which there are no entries are passed over.
        """
        while first <= last:
            rows = self.between(first, last)
            if rows:
                yield first, rows
                first += ENTRIES_AT_ONCE
            else:
                later = select(func.min(entries.c.seq)).where(entries.c.seq > first)
                first = self.read(later).scalar() or last + 1

    def between(self, first: int, last: int) -> Sequence[EntryRow]:
        """The rows of entries from `first` on, up to `last` and to 4,096 numbers."""
        return entry_rows(self._connection, first, min(last, first + ENTRIES_AT_ONCE - 1))

    def leaves(self, first: int, last: int) -> Iterator[bytes]:
        """The stored leaf hashes of entries `first` to `last`."""
        for page in self.pages(first, last):
            yield from (row.leaf for row in page)

    def payloads(
        self, wanted: Iterable[tuple[bytes, int]], skipped: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Digest, salt and body of the payloads that are there, and that a key opens.

        `wanted` has digests and sizes. Held in memory are some of them at once, at most 16 MiB where the
        sizes are right, or one. One that is damaged, or whose key is, is passed over, and `skipped` called.
        """
        for row in self.payload_rows(wanted):
            try:
                opened = open_payload(row, self.keys)
            except Unavailable as error:
                if error.code != DAMAGED:
                    raise
                skipped()
                continue
            if opened is not None:
                yield row.digest, opened.salt, opened.body

    def payload_rows(self, wanted: Iterable[tuple[bytes, int]]) -> Iterator[PayloadRow]:
        """The rows of the payloads that are there, as they are stored; see `payloads`."""
        for group in _groups(wanted):
            yield from payload_rows(self._connection, group)

    def sessions(self, names: Sequence[str], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """These columns of the rows of these sessions, no more than a statement takes."""
        return rows_among(self._connection, query_of(sessions, tuple(columns), "id"), names)

    def first_since(self, at: int) -> int:
        """See `first_since`: the number of the first entry at or after a time (microseconds)."""
        return first_since(self, at, self.largest())


@contextmanager
def reading(url: str, keys: Keys | None = None) -> Iterator[RecordReader]:
    """A view of the store at `url`, running or not; nothing is created, migrated or changed.

    `keys` open its payloads, where they are sealed.
    Raises `Misconfigured` when its schema is not that of this program, `Unavailable` when it is away.
    """
    engine, close = _engine(url)
    try:
        with engine.connect() as connection:
            _check_schema(connection)
            yield RecordReader(connection, keys)
    except SQLAlchemyError as error:
        raise cannot_be_opened("the record store", error, code="store_unavailable") from without_values(error)
    finally:
        close()


def _engine(url: str) -> tuple[Engine, Any]:
    if not url.startswith("sqlite:"):
        database = open_database(url, patience=PATIENCE)
        return database.reading, database.close
    path = Path(make_url(url).database or "")
    if not path.is_file():
        raise Misconfigured(f"there is no store at {path}; name its data directory with --data-dir")
    engine = read_only_engine(path)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine, engine.dispose


def _check_schema(connection: Connection) -> None:
    match state_of(connection):
        case SchemaState.CURRENT:
            return
        case SchemaState.NEWER:
            raise Misconfigured("the database is of a newer version of authz; use that version to read it")
        case _:
            raise Misconfigured("the database is of an older version, or none; run: authz store migrate")


def _groups(wanted: Iterable[tuple[bytes, int]]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for digest, told in wanted:
        if group and (size + told > PAYLOAD_BYTES_AT_ONCE or len(group) == DIGESTS_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(digest)
        size += told
    if group:
        yield group
