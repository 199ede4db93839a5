"""How both databases find sessions and holds by what their ids begin with: never by reading all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.store.query_plans import copied, plans

from authz_service.core.sessions import SessionQuery
from authz_service.core.stored_holds import HoldLimits, HoldQuery

LIMITS = HoldLimits()


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
