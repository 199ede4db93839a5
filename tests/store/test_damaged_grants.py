"""A grant whose rows cannot be read covers nothing, and keeps nobody's request from waiting for people."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.altered_grants import alter
from tests.store.granting import asks, granted

from authz_service.core.grants import OneGroup
from authz_service.core.openings import Granted, Opened
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_grants import GrantQuery
from authz_service.errors import Unavailable

DAMAGES = {
    "no JSON": "UPDATE grants SET detail = '{'",
    "no terms": "UPDATE grants SET detail = '{}'",
    "another document": "UPDATE grants SET detail = '[]'",
    "terms of another form": """UPDATE grants SET detail = '{"terms": "[]"}'""",
    "a vote": "UPDATE grant_acts SET detail = '[]'",
    "a voter": "UPDATE grant_acts SET voter = '5'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_it_would_cover_waits_and_the_log_names_it(damage: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            alter(place, damage)
            with capture_logs() as logs:
                assert isinstance(await asks(store, make, "again"), Opened)
            assert [(log["event"], log["grant"], log["log_level"]) for log in logs] == [
                ("grant.damaged", grant.id, "error")
            ]
            with pytest.raises(Unavailable, match=grant.id) as refused:
                await store.grant(grant.id)
            assert refused.value.code == DAMAGED

    run(scenario())


def test_another_grant_still_covers_it(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await granted(store, make)
            other = make.caller("bob")
            hold = (await asks(store, make, "another", caller=other)).hold
            terms = make.terms(beneficiary=OneGroup(other.issuer, "staff"))
            second = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
            alter(place, f"UPDATE grants SET detail = '{{', until = until - 9 WHERE id = '{first.id}'")
            assert await asks(store, make, "again") == Granted(second.id)

    run(scenario())


def test_a_list_has_the_others_and_names_it(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            damaged = await granted(store, make)
            other = make.caller("bob")
            hold = (await asks(store, make, "another", caller=other)).hold
            terms = make.terms(beneficiary=OneGroup(other.issuer, "staff"))
            read = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
            alter(place, f"UPDATE grants SET detail = '{{' WHERE id = '{damaged.id}'")
            page = await store.grants(GrantQuery())
            assert ([grant.id for grant in page.items], page.damaged) == ([read.id], (damaged.id,))
            one = await store.grants(GrantQuery(id_prefix=read.id))
            assert (len(one.items), one.damaged) == (1, ())

    run(scenario())


def test_it_cannot_be_voted_for_and_that_is_said(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            alter(place, "UPDATE grants SET detail = '{}'")
            with pytest.raises(Unavailable, match=f"grant {grant.id} is damaged"):
                await store.approve_grant(grant.id, digest=grant.digest, by=make.maker("rob"))

    run(scenario())
