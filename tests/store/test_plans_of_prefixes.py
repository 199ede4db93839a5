"""How both databases find sessions and holds by what their ids begin with: never by reading all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from authz_service.core.ports import HoldLimits, HoldQuery
from authz_service.core.sessions import SessionQuery

LIMITS = HoldLimits()
MANY = 20_000


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Any]]]:
    """The statements that look for a prefix, with what they were run with."""
    found: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT") and "wanted" in str(parameters):
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", listen)
    yield found
    event.remove(Engine, "before_cursor_execute", listen)


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


@pytest.mark.parametrize("what", ["sessions", "holds"])
def test_by_the_beginning_of_its_id_one_is_found_among_many(
    place: Any, make: Any, run: Any, asked: list[tuple[str, Any]], what: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.open_hold(make.hold("wanted_session", id="wanted_hold"), LIMITS)
        copied(place, what)
        async with place.store() as store:
            for prefix in ("wanted_", "wanted_hold" if what == "holds" else "wanted_session"):
                if what == "holds":
                    page = await store.holds(HoldQuery(id_prefix=prefix))
                else:
                    page = await store.sessions(SessionQuery(id_prefix=prefix))
                assert [item.id for item in page.items] == [f"wanted_{what[:-1]}"]
                assert page.next_page_token == ""
            assert (await store.holds(HoldQuery(id_prefix="none"))).items == ()

    run(scenario())
    looked = [(s, p) for s, p in asked if f"FROM {what}" in s and ">=" in s]
    assert len(looked) == 2
    index = f"{what}_prefix" if "postgresql" in place.url else f"sqlite_autoindex_{what}_1"
    for plan in plans(place, looked):
        assert index in plan, plan
