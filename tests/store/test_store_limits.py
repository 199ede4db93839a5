"""Limits counted from the record: on both databases, by several processes, under any schedule."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.conftest import START, Make, Place, pseudonym_of

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.limits import (
    Admission,
    Admitted,
    CountedBy,
    Demand,
    LimitReached,
    Quota,
    Rates,
)
from authz_service.core.ports import BEGUN_BEFORE, Attached, HoldLimits, Opened, Opening
from authz_service.errors import Conflict
from authz_service.store.sql_store import SqlStore

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def demand(*, caller: str = "alice", tokens: int = 0, **rates: int) -> Demand:
    return Demand((Quota(CountedBy.CALLER, f"p-{caller}", Rates(**rates)),), prompt=tokens)


def begun(make: Make, session: str, caller: str, wanted: Demand) -> EntryDraft:
    draft = make.received(session, caller)
    counted: dict[str, Scalar] = {"model": "llama", "tokens": wanted.tokens, "bytes": wanted.size}
    budgets: dict[str, list[Scalar]] = {"budgets": [*wanted.budgets]} if wanted.budgets else {}
    return EntryDraft(draft.kind, session, {**draft.data, **counted, **budgets}, draft.payloads)


def ended(session: str, outcome: str = "completed", **data: int) -> EntryDraft:
    return EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": outcome, **data})


async def admit(
    store: SqlStore, make: Make, wanted: Demand, *, caller: str = "alice", session: str = ""
) -> Admission:
    session = session or uuid.uuid4().hex
    return await store.admit(wanted, begun(make, session, caller, wanted))


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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, 40)),
        st.tuples(st.just("end"), st.integers(0, 60)),
        st.tuples(st.just("pass"), st.integers(1, 45)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_schedule_admits_more_than_its_limits(
    sqlite_url: str, make: Make, run: Run, steps: list[tuple[str, int]]
) -> None:
    """Of requests and exchanges at once never one more; of tokens what answers had beyond the estimate."""
    place = Place(sqlite_url)
    place.clock.time = START + 1_000_000
    caller = uuid.uuid4().hex

    async def go() -> None:
        async with place.store() as store:
            begun_at: dict[str, float] = {}
            tokens: dict[str, int] = {}
            beyond = 0
            is_open: list[str] = []
            for what, number in steps:
                if what == "pass":
                    place.clock.time += number
                elif what == "end" and is_open:
                    session = is_open.pop(0)
                    beyond = max(beyond, number - tokens[session])
                    tokens[session] = number
                    await store.append(ended(session, prompt_tokens=number, completion_tokens=0))
                elif what == "admit":
                    session = uuid.uuid4().hex
                    wanted = demand(
                        caller=caller,
                        tokens=number,
                        requests_per_minute=4,
                        tokens_per_minute=100,
                        concurrent=3,
                    )
                    answer = await admit(store, make, wanted, caller=caller, session=session)
                    if isinstance(answer, Admitted):
                        begun_at[session], tokens[session] = place.clock.time, number
                        is_open.append(session)
                assert len(is_open) <= 3
                recent = [s for s, at in begun_at.items() if at > place.clock.time - 60]
                assert len(recent) <= 4
                assert sum(tokens[s] for s in recent) <= 100 + 3 * max(0, beyond)

    run(go())
