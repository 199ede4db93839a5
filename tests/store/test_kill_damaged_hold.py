"""An operator ends an exchange, and a grant, whatever somebody did to the row of the hold it waited for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.altered_grants import alter
from tests.store.damaged_holds import opened
from tests.store.granting import LIMITS, enough, hold_of
from tests.store.places import Place

from authz_service.core.grants import GrantState
from authz_service.core.openings import Granted, Opened

STATE = "UPDATE holds SET state = 'granted'"
OF_SQLITE = {
    "deadline": "UPDATE holds SET deadline = 'soon'",
    "session": "UPDATE holds SET session = x'ff'",
    "bytes": "UPDATE holds SET forward = 'what SQLite takes for a text'",
}


def test_an_exchange_that_waits_for_it_is_ended_and_the_log_names_the_hold(
    place: Any, make: Any, run: Any
) -> None:
    run(ended(place, make, STATE))


@pytest.mark.parametrize("damage", OF_SQLITE.values(), ids=OF_SQLITE)
def test_so_it_is_where_a_column_has_what_it_cannot_have(
    damage: str, sqlite_url: str, make: Any, run: Any
) -> None:
    run(ended(Place(sqlite_url), make, damage))


async def ended(place: Any, make: Any, damage: str) -> None:
    async with place.store() as store:
        hold = await opened(store, make)
        alter(place, damage)
        with capture_logs() as logs:
            assert (await store.kill(hold.session, enough(hold.session))).status == "killing"
        assert [(line["event"], line["hold"]) for line in logs] == [("hold.damaged", hold.id)]
        assert [named.session for named in await store.to_end([hold.session])] == [hold.session]


def test_a_grant_is_ended_with_the_exchange_that_had_waited_for_its_hold(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make, session="s1")
            grant = await store.propose_grant(hold.id, terms=make.terms(), shown=hold.digest, by=make.maker())
            again = replace(make.hold("s1", request="first", traits=make.traits), entries=())
            assert await store.open_hold(again, LIMITS) == Granted(grant.id)  # judged anew, it runs
            alter(place, STATE)
            end = await store.revoke_grant(grant.id, by=make.maker("rob"), killed=enough)
            assert end.sessions == ("s1",)
            found = await store.grant(grant.id)
            assert found is not None
            assert found.state is GrantState.REVOKED

    run(scenario())


def test_a_hold_of_which_nobody_can_say_whose_it_was_is_superseded_all_the_same(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            before = await opened(store, make)
            alter(place, "UPDATE holds SET session = x'ff', deadline = 'soon'")
            again = await store.open_hold(make.hold("s2", forward=b"the request, masked otherwise"), LIMITS)
            assert isinstance(again, Opened)
            said = [e for e in await store.entries_after(0, "") if e.kind == "hold.superseded"]
            assert [(e.session, e.data["hold"]) for e in said] == [(None, before.id)]

    run(scenario())
