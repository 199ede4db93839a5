"""Writes many rows by SQL that is made once: the ledger writes the same few statements for ever.

SQLAlchemy would prepare each run anew, which takes longer than the database does. And a statement
takes many rows, since between two statements the writer's thread waits for the interpreter's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    bindparam,
    case,
    column,
    insert,
    literal_column,
    or_,
    update,
    values,
)
from sqlalchemy.sql.dml import UpdateBase

from authz_service.audit.columns import KILLING
from authz_service.store.faults import as_sqlalchemy

Row = Sequence[Any]
Names = tuple[str, ...]

MOST_ROWS = 32  # in one statement: beyond that a row costs no less, and making the SQL takes long

_EMPTY: ColumnElement[str] = literal_column("''")
_KILLING: ColumnElement[str] = literal_column(f"'{KILLING}'")


def insert_rows(connection: Connection, table: Table, columns: Names, rows: Sequence[Row]) -> None:
    """Insert `rows`, each with the values of `columns`, which come in the order of the table.

    Values reach the driver as they are: a column whose type would convert them cannot be written so.
    """
    dialect = connection.dialect
    for block in _blocks(len(rows)):
        _run(connection, _insert(table, columns, block.stop - block.start, dialect), rows[block])


def update_rows(
    connection: Connection, table: Table, put: Names, fill: Names, rows: Sequence[Row], move: Names = ()
) -> None:
    """Update by `id`: each row has the values of `put`, those of `fill` and of `move`, and an id that no
    other row has.

    What `fill` names is set only where the column is NULL or empty text, what `move` names only where it is
    not `KILLING`. Values as in `insert_rows`.
    """
    dialect = connection.dialect
    for block in _blocks(len(rows)):
        _run(connection, _update(table, put, fill, move, block.stop - block.start, dialect), rows[block])


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """What is written within is sent without waiting for each answer: PostgreSQL works while rows are made,
    and one that is far away is waited for once.

    Raises at the end at the latest what a statement failed with; those after it did nothing.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    fault: BaseException | None = None
    try:
        with driver.pipeline():
            try:
                yield
            except BaseException as error:
                fault = error
    except psycopg.Error as error:
        fault = fault or error
    if isinstance(fault, psycopg.Error):
        raise as_sqlalchemy(fault, connection) from fault
    if fault is not None:
        raise fault


@lru_cache(maxsize=1024)
def _blocks(count: int) -> Sequence[slice]:
    """At most 32 rows at a time, always a power of two of them, so that there are few statements."""
    blocks, start = [], 0
    while left := count - start:
        size = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        blocks.append(slice(start, start + size))
        start += size
    return blocks


def _run(connection: Connection, sql: str, rows: Sequence[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    execute: Callable[[str, list[Any]], object]
    if isinstance(driver, sqlite3.Connection):
        # It looks for an adapter for each `bytes`, which takes longer than this copy.
        parameters = [bytearray(value) if type(value) is bytes else value for row in rows for value in row]
        execute = driver.execute
    else:
        parameters = [value for row in rows for value in row]
        execute = psycopg.RawCursor(driver).execute
    try:
        execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, connection) from error


@lru_cache(maxsize=128)
def _insert(table: Table, columns: Names, count: int, dialect: Dialect) -> str:
    rows = [dict(zip(columns, row, strict=True)) for row in _parameters(table, columns, count)]
    return _sql(insert(table).values(rows), dialect, rows=count, columns=columns)


@lru_cache(maxsize=256)
def _update(table: Table, put: Names, fill: Names, move: Names, count: int, dialect: Dialect) -> str:
    names = (*put, *fill, *move, "id")
    rows = _parameters(table, names, count)
    if count == 1:
        new: dict[str, ColumnElement[Any]] = dict(zip(names, rows[0], strict=True))
    else:
        typed = [column(name, table.c[name].type) for name in names]
        changed = values(*typed, name="changed").data(rows).cte("changed")
        new = {name: changed.c[name] for name in names}
    setting = [(table.c[name], new[name]) for name in put]
    for name in fill:
        old = table.c[name]
        setting.append((old, case((or_(old.is_(None), old == _EMPTY), new[name]), else_=old)))
    for name in move:
        old = table.c[name]
        setting.append((old, case((old != _KILLING, new[name]), else_=old)))
    statement = update(table).where(table.c.id == new["id"]).ordered_values(*setting)
    return _sql(statement, dialect, rows=count, columns=names)


def _parameters(table: Table, columns: Names, count: int) -> list[tuple[BindParameter[Any], ...]]:
    return [tuple(bindparam(f"{n}_{row}", type_=table.c[n].type) for n in columns) for row in range(count)]


def _sql(statement: UpdateBase, dialect: Dialect, *, rows: int, columns: Names) -> str:
    """The SQL of a statement that takes the values of `rows` rows, one row after the other."""
    compiled = statement.compile(dialect=dialect)
    if compiled.positiontup != [f"{name}_{row}" for row in range(rows) for name in columns]:
        raise ValueError("the statement takes other values than the rows have, or in another order")
    sql = str(compiled)
    if dialect.name != "postgresql":
        return sql
    # As the server numbers them: psycopg would look for the places of so many values at each run.
    parts = sql.split("%s")
    if len(parts) != rows * len(columns) + 1 or "%" in "".join(parts):
        raise ValueError("the statement has other places for values than one for each")
    return "".join(f"{part}${place}" for place, part in enumerate(parts[:-1], 1)) + parts[-1]
