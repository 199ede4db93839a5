"""How both databases find what is open, and what is of a caller, among all that ever waited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from tests.store.query_plans import copied, engine_of, plans

from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState

OPEN = (HoldState.PENDING, HoldState.APPROVED)
DECIDED = (HoldState.APPROVED, HoldState.RELEASED, HoldState.REJECTED, HoldState.EXPIRED)


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Any]]]:
    """The statements that read holds, with what they were run with."""
    found: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT") and "FROM holds" in statement:
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", listen)
    yield found
    event.remove(Engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("has_statistics", [False, True], ids=["no statistics", "statistics"])
@pytest.mark.parametrize(
    ("query", "index"),
    [
        (HoldQuery(states=OPEN), "holds_open"),
        (HoldQuery(states=OPEN[:1], model="llama"), "holds_open"),
        (HoldQuery(states=DECIDED, caller="alice"), "holds_subject"),
        (HoldQuery(caller="alice"), "holds_subject"),
    ],
    ids=["open", "pending", "earlier decisions", "a caller's"],
)
def test_a_list_does_not_read_all_that_ever_waited(
    query: HoldQuery,
    index: str,
    has_statistics: bool,
    place: Any,
    make: Any,
    run: Any,
    asked: list[tuple[str, Any]],
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.open_hold(make.hold(id="wanted"), HoldLimits())
        copied(place, "holds", state="'released'", subject="subject || n")
        if not (has_statistics or "postgresql" in place.url):
            forget(place)
        async with place.store() as store:
            asked.clear()
            page = await store.holds(query)
            assert [hold.id for hold in page.items] == ["wanted"] * (query.states != DECIDED)

    run(scenario())
    ((statement, parameters),) = [(s, p) for s, p in asked if "ORDER BY" in s]
    for plan in plans(place, [(statement, parameters)]):
        assert index in plan, plan


def test_nor_do_the_counts_of_those_that_pend_and_of_those_to_be_reviewed(
    place: Any, make: Any, run: Any, asked: list[tuple[str, Any]]
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.open_hold(make.hold(id="wanted"), HoldLimits())
        copied(place, "holds", state="'released'", subject="subject || n")
        async with place.store() as store:
            asked.clear()
            assert (await store.hold_ages([60.0])).counts == (1, 0)

    run(scenario())
    for plan in plans(place, asked):
        assert any(index in plan for index in ("holds_open", "holds_deadline", "holds_review")), plan


def forget(place: Any) -> None:
    """SQLite has no statistics until somebody has them made."""
    engine = engine_of(place)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sqlite_stat1"))
    engine.dispose()
