"""Limits that several share, processes or people, and what each counts for."""

from __future__ import annotations

import asyncio

import pytest
from tests.store.drafts import Make
from tests.store.limits_reached import Run, admit, begun, demand, ended
from tests.store.places import START, Place

from authz_service.audit.draft import EntryDraft
from authz_service.core.limits import (
    Admitted,
    CountedBy,
    Demand,
    LimitReached,
    Quota,
    Rates,
)


def test_a_model_and_a_key_are_counted_over_all_callers(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            model = Quota(CountedBy.MODEL, "llama", Rates(requests_per_minute=2))
            key = Quota(CountedBy.KEY, "key_1", Rates(requests_per_minute=1))
            alice, bob = Demand((model,)), Demand((model, key))
            assert isinstance(await admit(store, make, alice), Admitted)
            draft = begun(make, "k", "bob", bob)
            with_key = EntryDraft(draft.kind, "k", {**draft.data, "key": "key_1"}, draft.payloads)
            assert isinstance(await store.admit(bob, with_key), Admitted)
            refused = await admit(store, make, alice)
            assert isinstance(refused, LimitReached)
            assert refused.by is CountedBy.MODEL
            of_key = await admit(store, make, Demand((key,)))
            assert isinstance(of_key, LimitReached)
            assert of_key.by is CountedBy.KEY

    run(go())


def test_with_models_only_requests_to_these_count(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            narrow = Quota(CountedBy.CALLER, "p-alice", Rates(requests_per_minute=1), ("llama", "other"))
            assert isinstance(await admit(store, make, demand(requests_per_minute=9)), Admitted)
            refused = await admit(store, make, Demand((narrow,)))
            assert isinstance(refused, LimitReached)
            assert (refused.by, refused.models, refused.again) == (CountedBy.CALLER, ("llama", "other"), 60.0)
            elsewhere = narrow._replace(models=("third",))
            assert isinstance(await admit(store, make, Demand((elsewhere,))), Admitted)
            (left,) = await store.left([narrow])
            assert (left.used, left.models) == (2, ("llama", "other"))

    run(go())


@pytest.mark.postgres
def test_processes_that_share_a_database_share_the_limits_exactly(
    postgres_url: str, make: Make, run: Run
) -> None:
    place = Place(postgres_url)

    async def go() -> None:
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            wanted = demand(requests_per_minute=7, concurrent=7)
            both = await asyncio.gather(*(admit(s, make, wanted) for _ in range(20) for s in (one, two)))
            assert sum(isinstance(answer, Admitted) for answer in both) == 7

    run(go())


def test_an_exchange_that_comes_again_does_not_count_against_itself(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(concurrent=1)
            await admit(store, make, wanted, session="a")
            with pytest.raises(Exception, match="begun before"):
                await admit(store, make, wanted, session="a")

    run(go())


def test_recorded_bytes_are_counted_as_they_came_and_then_as_they_were(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            quota = Quota(CountedBy.CALLER, "p-alice", Rates(recorded_bytes_per_day=5000))
            wanted = Demand((quota,), size=2000)
            assert isinstance(await admit(store, make, wanted, session="a"), Admitted)
            assert isinstance(await admit(store, make, wanted, session="b"), Admitted)
            refused = await admit(store, make, wanted)
            assert isinstance(refused, LimitReached)
            assert (refused.what, refused.left, refused.again) == ("recorded_bytes_per_day", 1000, 86_400.0)
            await store.append(ended("a", bytes=2500))
            place.clock.time = START + 86_400
            assert isinstance(await admit(store, make, wanted), Admitted)
            never = await admit(store, make, Demand((quota,), size=5001))
            assert isinstance(never, LimitReached)
            assert never.again is None

    run(go())


def test_the_members_of_a_group_use_up_one_budget_together(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            interns = Quota(CountedBy.GROUP, "interns", Rates(requests_per_minute=3, tokens_per_day=100))
            guests = Quota(CountedBy.GROUP, "guests", Rates(requests_per_minute=3, concurrent=2))
            for caller, quotas in (("alice", (interns,)), ("bob", (interns, guests)), ("carol", (guests,))):
                wanted = Demand(quotas, prompt=30)
                assert isinstance(await admit(store, make, wanted, caller=caller), Admitted)
            refused = await admit(store, make, Demand((guests,)), caller="dave")
            assert isinstance(refused, LimitReached)
            assert (refused.by, refused.what) == (CountedBy.GROUP, "concurrent")
            spent = await admit(store, make, Demand((interns,), prompt=50), caller="dave")
            assert isinstance(spent, LimitReached)
            assert (spent.what, spent.left) == ("tokens_per_day", 40)
            assert isinstance(await admit(store, make, Demand((interns,), prompt=40), caller="eve"), Admitted)
            full = await admit(store, make, Demand((interns,)), caller="eve")
            assert isinstance(full, LimitReached)
            # It has no tokens left for a day, and no requests for a minute: there is room when both have.
            assert (full.what, full.again) == ("tokens_per_day", 86_400.0)

    run(go())
