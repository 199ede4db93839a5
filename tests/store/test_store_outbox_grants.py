"""Receivers are told of grants: proposed, in force, used up, revoked."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.granting import LIMITS, TWO, asks, granted, hold_of
from tests.store.outboxes import ALL, KEY, change, claimed, events, told, wrong

from authz_service.core.notifications import NotificationQuery


async def about_grants(store: Any) -> Any:
    page = await store.notifications(NotificationQuery())
    return [item for item in reversed(page.items) if item.grant]


def test_each_event_of_a_grant_is_queued_with_its_entry_and_of_its_uses_the_last(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            grant = await granted(store, make, uses=2)
            found = await about_grants(store)
            assert events(found) == ["grant.proposed", "grant.created"]
            assert {(n.hold, n.grant, n.rule, n.name) for n in found} == {
                (grant.hold, grant.id, "contractors", "alice")
            }
            assert found[0].deadline is not None
            await asks(store, make, "again")
            assert len(await about_grants(store)) == 2
            await asks(store, make, "once more")
            await store.revoke_grant((await granted_to_bob(store, make)).id, by=make.maker("rob"))
            assert events(await about_grants(store)) == [
                *("grant.proposed", "grant.created", "grant.used_up"),
                *("grant.proposed", "grant.created", "grant.revoked"),
            ]
            of_hold = await store.notifications(NotificationQuery(hold=grant.hold))
            assert "hold.superseded" in events(of_hold.items)
            assert "grant.used_up" in events(of_hold.items)
        assert wrong(place) == []

    run(scenario())


async def granted_to_bob(store: Any, make: Any) -> Any:
    bob = make.caller("bob")
    hold = await hold_of(store, make, "bob asks", caller=bob)
    terms = make.terms(beneficiary=type(make.terms().beneficiary)(bob.identity))
    return await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())


def test_whoever_wants_to_know_of_grants_in_force_alone_is_told_nothing_else(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = told(("chat", ("grant_created",)))
            hold = await hold_of(store, make, approvals=(TWO,))
            terms = make.terms(approvals=(TWO,))
            by = [make.maker(name, approvals=(TWO,)) for name in ("rita", "rob")]
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by[0])
            assert await claimed(store) == []
            await store.approve_grant(grant.id, digest=grant.digest, by=by[1])
            assert [(n.event, n.grant) for n in await claimed(store)] == [("grant.created", grant.id)]

    run(scenario())


@pytest.mark.parametrize(
    ("column", "value"), [("grant_id", "NULL"), ("grant_id", "'grant_2'"), ("event", "'grant.used'")]
)
def test_a_changed_row_is_named(column: str, value: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = told(("chat", ("grant_used_up",)))
            await granted(store, make, uses=1)
            await store.open_hold(make.hold(request="again", traits=make.traits), LIMITS)
            assert events(await about_grants(store)) == ["grant.used_up"]

    run(scenario())
    assert wrong(place) == []
    change(place, f"UPDATE outbox SET {column} = {value}")
    assert [what for _, what in wrong(place)] == [
        f"its column {column} is not what the entry says that it tells of"
    ]
