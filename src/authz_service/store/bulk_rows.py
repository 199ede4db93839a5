"""Rows of entries and payloads as the driver has them, for whoever reads all of a record.

SQLAlchemy would convert each value, and name each parameter of a list anew, which takes longer than the
database does. SQLite gives back whatever was put there: what is no bytes where they belong is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Table, select

from authz_service.store.faults import as_sqlalchemy
from authz_service.store.schema import payloads

_ENTRIES = "SELECT seq, session, body, leaf FROM entries WHERE seq > {0} AND seq <= {0} ORDER BY seq"


class EntryRow(NamedTuple):
    """A row of `entries`."""

    seq: int
    session: str | None
    body: bytes
    leaf: bytes


class PayloadRow(NamedTuple):
    """A row of `payloads`; see there. `salt` and `body` may be of any type where somebody put that there."""

    digest: bytes
    salt: bytes
    body: bytes
    key: str | None
    at: int
    retention: str


# As `_make` does, without a step in Python for each row.
_entry: Callable[[tuple[Any, ...]], EntryRow] = partial(tuple.__new__, EntryRow)
_payload: Callable[[tuple[Any, ...]], PayloadRow] = partial(tuple.__new__, PayloadRow)


def entry_rows(connection: Connection, first: int, last: int) -> list[EntryRow]:
    """Those with these numbers, in order."""
    rows = _run(connection, _entries(_mark(connection)), (first - 1, last))
    return [
        _entry(row) if type(row[2]) is bytes and type(row[3]) is bytes else _damaged(*row) for row in rows
    ]


def payload_rows(connection: Connection, digests: Sequence[bytes]) -> list[PayloadRow]:
    """Those of these that are there, in no order; no more are asked for than a statement takes."""
    query, wanted = query_of(payloads, PayloadRow._fields, "digest"), list[bytes | bytearray](digests)
    if connection.dialect.name == "sqlite":
        # It looks for an adapter for each `bytes`, which takes longer than this copy.
        wanted = [bytearray(digest) for digest in digests]
    return list(map(_payload, rows_among(connection, query, wanted)))


def rows_among(connection: Connection, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What `query_of` asks for, of one of these values; no more of them than a statement takes."""
    if connection.dialect.name == "sqlite":
        return _run(connection, _among(query, len(values)), values)
    return _run(connection, query + "= ANY(%b)", (list(values),))


@lru_cache
def query_of(table: Table, columns: Sequence[str], key: str) -> str:
    """A query of these columns, whose end is to say which values of `key`."""
    return str(select(*(table.c[name] for name in columns)).where(table.c[key].is_(None))).replace(
        "IS NULL", ""
    )


def _run(connection: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """In the transaction of the connection, which begins one if need be."""
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    try:
        if isinstance(driver, psycopg.Connection):
            with driver.cursor(binary=True) as cursor:  # as text bytes come twice as long, and are read anew
                return cursor.execute(sql, values).fetchall()
        return list(driver.execute(sql, values))
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, connection) from error


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%b"


@lru_cache
def _entries(mark: str) -> str:
    return _ENTRIES.format(mark)


@lru_cache(maxsize=1024)
def _among(query: str, count: int) -> str:
    return f"{query}IN ({','.join('?' * count)})"


def as_bytes(stored: object) -> bytes:
    """What stands where bytes belong; where it is none, bytes that nobody recorded."""
    return stored if isinstance(stored, bytes) else b"" if stored is None else b"\x00damaged"


def require_bytes(stored: object) -> bytes:
    """What stands where bytes belong, or a TypeError: of a number `bytes` would make as many zeros."""
    if not isinstance(stored, bytes):
        raise TypeError("these are no bytes")
    return stored


def told_bytes(stored: object) -> bytes:
    """The same, but of a text its own: for who shows what stands there, or looks for names in it."""
    return stored.encode("utf-8", "replace") if isinstance(stored, str) else as_bytes(stored)


def _damaged(seq: int, session: str | None, body: object, leaf: object) -> EntryRow:
    return EntryRow(seq, session, as_bytes(body), as_bytes(leaf))
