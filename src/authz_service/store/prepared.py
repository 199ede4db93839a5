"""Writes many rows by SQL that is made once: the ledger writes the same few statements for ever.

SQLAlchemy would prepare each run anew, which takes longer than the database does. And a statement
takes many rows, since between two statements the writer's thread waits for the interpreter's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    Update,
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

from authz_service.store.faults import as_sqlalchemy

Row = Sequence[Any]
Names = tuple[str, ...]

MOST_ROWS = 32  # in one statement; 32 sessions stay below the 999 parameters of a SQLite before 3.32

_EMPTY: ColumnElement[str] = literal_column("''")


def insert_rows(connection: Connection, table: Table, columns: Names, rows: Sequence[Row]) -> None:
    """Insert `rows`, each with the values of `columns`, which come in the order of the table.

    Values reach the driver as they are: a column whose type would convert them cannot be written so.
    """
    dialect = connection.dialect
    _in_blocks(connection, rows, lambda count: _insert(table, columns, count, dialect))


def update_rows(connection: Connection, table: Table, put: Names, fill: Names, rows: Sequence[Row]) -> None:
    """Update by `id`: each row is an id, the values of `put`, then those of `fill`.

    What `fill` names is set only where the column is NULL or empty text. Values as in `insert_rows`.
    """
    dialect = connection.dialect
    _in_blocks(connection, rows, lambda count: _update(table, put, fill, count, dialect))


def _in_blocks(connection: Connection, rows: Sequence[Row], sql_for: Callable[[int], str]) -> None:
    """Run for at most 32 rows at a time, always a power of two of them, so that there are few statements."""
    done = 0
    while left := len(rows) - done:
        count = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        _run(connection, sql_for(count), list(chain.from_iterable(rows[done : done + count])))
        done += count


def _run(connection: Connection, sql: str, parameters: list[Any]) -> None:
    driver: Any = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        # It looks for an adapter for each `bytes`, which takes ten times as long as the copy.
        parameters = [bytearray(value) if type(value) is bytes else value for value in parameters]
    try:
        driver.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, connection) from error


@lru_cache(maxsize=128)
def _insert(table: Table, columns: Names, count: int, dialect: Dialect) -> str:
    rows = [dict(zip(columns, row, strict=True)) for row in _parameters(table, columns, count)]
    return _sql(insert(table).values(rows), dialect, rows=count, columns=columns)


@lru_cache(maxsize=256)
def _update(table: Table, put: Names, fill: Names, count: int, dialect: Dialect) -> str:
    names = ("id", *put, *fill)
    rows = _parameters(table, names, count)
    changed = values(*(column(n, table.c[n].type) for n in names), name="changed").data(rows).cte("changed")
    setting: dict[str, ColumnElement[Any]] = {name: changed.c[name] for name in put}
    for name in fill:
        old = table.c[name]
        setting[name] = case((or_(old.is_(None), old == _EMPTY), changed.c[name]), else_=old)
    statement: Update = update(table).where(table.c.id == changed.c.id).values(setting)
    return _sql(statement, dialect, rows=count, columns=names)


def _parameters(table: Table, columns: Names, count: int) -> list[tuple[BindParameter[Any], ...]]:
    return [tuple(bindparam(f"{n}_{row}", type_=table.c[n].type) for n in columns) for row in range(count)]


def _sql(statement: UpdateBase, dialect: Dialect, *, rows: int, columns: Names) -> str:
    """The SQL of a statement that takes the values of `rows` rows, one row after the other."""
    compiled = statement.compile(dialect=dialect)
    if compiled.positiontup != [f"{name}_{row}" for row in range(rows) for name in columns]:
        raise ValueError("the statement takes other values than the rows have, or in another order")
    return str(compiled)
