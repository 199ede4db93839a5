"""How SQLite finds the rows of groups' budgets when it purges and verifies: never by reading all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from tests.store.forgotten import DAY, KEY, purge, verify

from authz_service.audit.retention import Retention
from authz_service.core.limits import CountedBy, Demand, Quota, Rates


@pytest.fixture
def asked() -> Iterator[dict[str, Any]]:
    """The statements that read or delete rows of `session_budgets`, with what they were run with."""
    found: dict[str, Any] = {}

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "session_budgets" in statement and statement.startswith(("SELECT", "DELETE")):
            found[statement] = parameters

    event.listen(Engine, "before_cursor_execute", listen)
    yield found
    event.remove(Engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_purges_and_verification_read_only_the_rows_of_their_sessions(
    sealed: Any, make: Any, run: Any, asked: dict[str, Any]
) -> None:
    shared = Demand((Quota(CountedBy.GROUP, "juniors", Rates(recorded_bytes_per_day=9)),))

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            begun = make.received("old")
            data = {**begun.data, "model": "m", "tokens": 1, "bytes": 2, "budgets": ["juniors"]}
            await store.admit(shared, replace(begun, data=data))
            await store.append(make.ended("old"))
            sealed.clock.time += 100 * DAY
            asked.clear()
            await purge(sealed, store, Retention.ENTRIES, 90)

    run(scenario())
    assert [statement.split()[0] for statement in asked] == ["DELETE"]
    assert verify(sealed) == []
    assert len(asked) == 3
    engine = create_engine(sealed.url)
    with engine.connect() as connection:
        for statement, parameters in list(asked.items()):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = [str(row.detail) for row in rows]
            assert [step for step in plan if "session_budgets USING" in step], plan
            assert not [step for step in plan if step.startswith("SCAN")], plan
    engine.dispose()
