"""Runs a statement for many rows by SQL that is made once: the ledger writes the same few for ever.

SQLAlchemy would prepare each run and each row anew, which takes longer than the database does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase

Row = dict[str, Any]


def execute_many(connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> None:
    """Run an INSERT or UPDATE for each of `rows`, at least one, which all have the same keys.

    The keys are the statement's parameters; it may have no others. Values reach the driver as they
    are: a column whose type would convert them cannot be written in this way.
    """
    sql, names = _prepared(statement, tuple(rows[0]), connection.dialect)
    if not names:
        connection.exec_driver_sql(sql, rows)
        return
    in_order = itemgetter(*names)
    connection.exec_driver_sql(sql, [in_order(row) for row in rows])


@lru_cache(maxsize=128)
def _prepared(statement: UpdateBase, keys: tuple[str, ...], dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """The SQL, and where the driver takes parameters by their place, their names in order."""
    compiled = statement.compile(dialect=dialect, column_keys=list(keys))
    if set(compiled.params) != set(keys):
        raise ValueError("the statement has other parameters than the rows")
    return str(compiled), tuple(getattr(compiled, "positiontup", None) or ())
