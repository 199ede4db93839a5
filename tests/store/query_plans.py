"""How a database finds what a statement asks for, among many rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, text

MANY = 20_000


def engine_of(place: Any) -> Engine:
    return create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))


def copied(place: Any, table: str, **values: str) -> None:
    """The one row of a table many times over, with other names and numbers, and with these values (SQL)."""
    names = {"id", "seq", "identity", *values}
    engine = engine_of(place)
    with engine.begin() as connection:
        row = connection.execute(text(f"SELECT * FROM {table}")).mappings().one()
        others = [name for name in row if name not in names]
        held = "identity, " if "identity" in row else ""
        another = "identity || n, " if "identity" in row else ""
        connection.execute(
            text(
                f"INSERT INTO {table} (id, seq, {held}{', '.join([*values, *others])})"
                f" WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < {MANY})"
                f" SELECT 'other_' || n, 1000 + n, {another}{', '.join([*values.values(), *others])}"
                f" FROM {table}, more"
            )
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()


def plans(place: Any, asked: list[tuple[str, Any]]) -> Iterator[str]:
    engine = engine_of(place)
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            yield "\n".join(str(row[-1]) for row in rows)
    engine.dispose()
