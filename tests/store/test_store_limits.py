"""Limits counted from the record: on both databases, by several processes, under any schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.store.drafts import Make
from tests.store.limits_reached import Run, admit, begun, demand, ended
from tests.store.places import START, Place, pseudonym_of

from authz_service.core.limits import (
    Admitted,
    CountedBy,
    Demand,
    LimitReached,
    Quota,
    Rates,
)
from authz_service.core.openings import Attached, Opened, Opening
from authz_service.core.ports import BEGUN_BEFORE
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Conflict


def test_no_more_requests_than_the_limit_begin_in_any_minute(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(requests_per_minute=2)
            first = await admit(store, make, wanted)
            assert isinstance(first, Admitted)
            assert first.requests is not None
            assert (first.requests.limit, first.requests.left) == (2, 1)
            place.clock.time = START + 30
            assert isinstance(await admit(store, make, wanted), Admitted)
            refused = await admit(store, make, wanted)
            assert refused == LimitReached("requests_per_minute", CountedBy.CALLER, 2, refused.now, 30.0, 0)
            of_bob = await admit(store, make, demand(caller="bob", requests_per_minute=2), caller="bob")
            assert isinstance(of_bob, Admitted)
            place.clock.time = START + 59.9
            assert isinstance(await admit(store, make, wanted), LimitReached)
            place.clock.time = START + 60
            assert isinstance(await admit(store, make, wanted), Admitted)
            assert isinstance(await admit(store, make, wanted), LimitReached)

    run(go())


def test_a_refused_request_leaves_nothing_on_record_by_itself_and_counts_for_nothing(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(requests_per_minute=1)
            await admit(store, make, wanted, session="a")
            await admit(store, make, wanted, session="b")
            assert await store.session("b") is None
            # What the exchange records of a refusal has the status that does not count.
            await store.append(begun(make, "b", "alice", demand()), ended("b", "limited"))
            place.clock.time = START + 60
            assert isinstance(await admit(store, make, wanted, session="c"), Admitted)

    run(go())


def test_what_has_begun_is_not_refused_as_one_that_has_not(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(requests_per_minute=2)
            for session in ("a", "b"):
                assert isinstance(await admit(store, make, wanted, session=session), Admitted)
            over = demand(requests_per_minute=1)
            with pytest.raises(Conflict) as begun:
                await admit(store, make, over, session="a")
            assert begun.value.code == BEGUN_BEFORE
            assert isinstance(await admit(store, make, over, session="c"), LimitReached)
            assert await store.session("c") is None

    run(go())


def test_tokens_are_counted_as_estimated_and_then_as_they_were(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(tokens=60, tokens_per_minute=100, tokens_per_day=150)
            assert isinstance(await admit(store, make, wanted, session="a"), Admitted)
            refused = await admit(store, make, wanted)
            assert isinstance(refused, LimitReached)
            assert (refused.what, refused.left, refused.again) == ("tokens_per_minute", 40, 60.0)
            await store.append(ended("a", prompt_tokens=10, completion_tokens=20))
            admitted = await admit(store, make, wanted, session="b")
            assert isinstance(admitted, Admitted)
            assert admitted.tokens is not None
            assert (admitted.tokens.limit, admitted.tokens.left) == (100, 10)
            await store.append(ended("b", "broken_off", tokens=90))
            place.clock.time = START + 61
            of_day = await admit(store, make, wanted)
            assert isinstance(of_day, LimitReached)
            assert (of_day.what, of_day.left, of_day.again) == ("tokens_per_day", 30, 86_400.0 - 61)
            place.clock.time = START + 86_400
            assert isinstance(await admit(store, make, wanted), Admitted)

    run(go())


def test_of_several_limits_it_is_the_last_to_have_room_that_says_when(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(tokens=60, requests_per_minute=1, tokens_per_day=100)
            assert isinstance(await admit(store, make, wanted), Admitted)
            refused = await admit(store, make, wanted)
            assert isinstance(refused, LimitReached)
            assert (refused.what, refused.again) == ("tokens_per_day", 86_400.0)
            never = await admit(store, make, demand(tokens=101, requests_per_minute=1, tokens_per_day=100))
            assert isinstance(never, LimitReached)
            assert never.again is None

    run(go())


def test_a_request_for_more_than_the_limit_never_has_room(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            refused = await admit(store, make, demand(tokens=101, tokens_per_day=100))
            assert isinstance(refused, LimitReached)
            assert (refused.what, refused.again) == ("tokens_per_day", None)

    run(go())


def test_exchanges_at_once_are_those_without_an_end_of_the_last_hour(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(concurrent=2)
            await admit(store, make, wanted, session="a")
            await admit(store, make, wanted, session="b")
            refused = await admit(store, make, wanted)
            assert isinstance(refused, LimitReached)
            assert (refused.what, refused.again) == ("concurrent", 1.0)
            await store.append(ended("a"))
            assert isinstance(await admit(store, make, wanted, session="c"), Admitted)
            # Of a process that never came back to end them.
            place.clock.time = START + 3601
            assert isinstance(await admit(store, make, wanted), Admitted)

    run(go())


def test_no_more_holds_pend_than_a_limit_permits_and_one_that_is_there_is_attached_to(
    place: Place, make: Make, run: Run
) -> None:
    async def go() -> None:
        async with place.store() as store:
            quota = Quota(CountedBy.MODEL, "llama", Rates(open_holds=1))

            async def ask(who: str, what: str, *quotas: Quota) -> Opening:
                draft = make.hold(caller=make.caller(who), request=what)
                return await store.open_hold(replace(draft, quotas=quotas), HoldLimits(pending_per_caller=9))

            assert isinstance(await ask("alice", "one", quota), Opened)
            assert isinstance(await ask("alice", "one", quota), Attached)
            refused = await ask("bob", "two", quota)
            assert refused == LimitReached("open_holds", CountedBy.MODEL, 1, START, 60.0)
            (left,) = await store.left([quota])
            assert (left.what, left.used, left.left, left.again) == ("open_holds", 1, 0, 60.0)
            other = Quota(CountedBy.CALLER, pseudonym_of(make.caller("bob").identity), Rates(open_holds=1))
            assert isinstance(await ask("bob", "two", other), Opened)
            assert isinstance(await ask("bob", "three", other), LimitReached)
            # Admission does not look at holds.
            assert isinstance(await admit(store, make, Demand((quota, other))), Admitted)
            place.clock.time += 1800  # overdue, and swept by nobody yet
            assert isinstance(await ask("bob", "three", other, quota), Opened)

    run(go())


def test_a_clock_that_goes_back_makes_no_room(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            wanted = demand(requests_per_minute=1)
            place.clock.time = START + 1000
            assert isinstance(await admit(store, make, wanted), Admitted)
            for earlier in (START, START + 900, START + 1059):
                place.clock.time = earlier
                assert isinstance(await admit(store, make, wanted), LimitReached)
            place.clock.time = START + 1060
            assert isinstance(await admit(store, make, wanted), Admitted)

    run(go())
