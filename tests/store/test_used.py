"""What was used is as the record has it, whether sums of past ten minutes are remembered or not."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.drafts import Make
from tests.store.places import START, Place

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.limits import DAY, CountedBy, Quota, Rates
from authz_service.core.usage import Used
from authz_service.store import used
from authz_service.store.sql_store import SqlStore
from authz_service.store.used import SPAN, Remembered, Use

Run = Callable[[Coroutine[Any, Any, Any]], Any]

EPOCHS = itertools.count(1)
EVERY = Rates(9, 9, 9, 9, 9)


@dataclass
class One:
    """A session as the test knows it."""

    at: float
    tokens: int
    is_open: bool = True


async def begin(store: SqlStore, make: Make, session: str, caller: str, tokens: int) -> None:
    draft = make.received(session, caller)
    data: dict[str, Scalar] = {"model": "llama", "tokens": tokens, "bytes": 2 * tokens}
    await store.append(EntryDraft(draft.kind, session, {**draft.data, **data}, draft.payloads))


async def end(store: SqlStore, session: str, tokens: int) -> None:
    data: dict[str, Scalar] = {"outcome": "completed", "tokens": tokens, "bytes": 2 * tokens}
    await store.append(EntryDraft(Kind.EXCHANGE_ENDED, session, data))


async def look(store: SqlStore, quota: Quota, remembered: Remembered | None) -> Used:
    return await store.change(lambda transaction: Use(transaction, remembered).of(quota))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 40)),
        st.tuples(st.just("end"), st.integers(0, 60)),
        st.tuples(st.just("pass"), st.sampled_from([1, 30, 59, 61, 599, 601, 3601, 40_000])),
    ),
    max_size=60,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, start=st.integers(0, 1200))
def test_any_schedule_is_counted_as_it_was(
    sqlite_url: str,
    make: Make,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, int]],
    start: int,
) -> None:
    monkeypatch.setattr(used, "WORTH", 0)
    place = Place(sqlite_url)
    place.clock.time = START + next(EPOCHS) * 10_000_000 + start  # time never goes back in a database
    caller = uuid.uuid4().hex
    quota = Quota(CountedBy.CALLER, f"p-{caller}", EVERY)

    async def go() -> None:
        async with place.store() as store:
            known: dict[str, One] = {}
            remembered = Remembered()
            for what, number in steps:
                if what == "pass":
                    place.clock.time += number
                elif what == "begin":
                    session = uuid.uuid4().hex
                    await begin(store, make, session, caller, number)
                    known[session] = One(place.clock.time, number)
                elif running := [name for name, one in known.items() if one.is_open]:
                    await end(store, running[0], number)
                    known[running[0]].tokens, known[running[0]].is_open = number, False
                now = place.clock.time
                minute = [one for one in known.values() if one.at > now - 60]
                hour = [one for one in known.values() if one.at > now - 3600]
                day = sum(one.tokens for one in known.values() if one.at > now - DAY)
                expected = Used(
                    len(minute),
                    sum(one.tokens for one in minute),
                    day,
                    2 * day,
                    sum(one.is_open for one in hour),
                )
                assert await look(store, quota, remembered) == expected
                assert await look(store, quota, None) == expected

    run(go())


def test_what_has_settled_is_not_read_again_and_what_moves_is(
    place: Place, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used, "WORTH", 3)
    quota = Quota(CountedBy.MODEL, "llama", Rates(tokens_per_day=1000))
    remembered = Remembered()

    async def go() -> None:
        async with place.store() as store:
            for number in range(6):
                await begin(store, make, f"s{number}", "alice", 10)
                if number != 3:
                    await end(store, f"s{number}", 7)
                place.clock.time += 600
            assert (await look(store, quota, remembered)).day == 5 * 7 + 10
            (sums,) = remembered.sums.values()
            first = int(START * 1_000_000) // SPAN
            assert [sums[first + n].tokens for n in (0, 1, 2, 4)] == [7, 7, 7, 7]
            assert first + 3 not in sums
            # Whoever changed the record behind our back is not seen here, and is by who verifies it.
            sums[first] = sums[first].plus(sums[first])
            assert (await look(store, quota, remembered)).day == 6 * 7 + 10
            await end(store, "s3", 1)
            assert (await look(store, quota, remembered)).day == 6 * 7 + 1
            place.clock.time = START + DAY
            assert (await look(store, quota, remembered)).day == 4 * 7 + 1
            assert first not in sums

    run(go())


def test_of_few_sessions_nothing_is_remembered_and_of_many_quotas_the_first_is_forgotten(
    place: Place, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered = Remembered()

    async def go() -> None:
        async with place.store() as store:
            for caller in ("alice", "bob"):
                await begin(store, make, caller, caller, 10)
                await end(store, caller, 7)
            place.clock.time += 1300
            quotas = [
                Quota(CountedBy.CALLER, f"p-{name}", Rates(tokens_per_day=9)) for name in ("alice", "bob")
            ]
            assert [(await look(store, quota, remembered)).day for quota in quotas] == [7, 7]
            assert remembered.sums == {}
            monkeypatch.setattr(used, "WORTH", 0)
            monkeypatch.setattr(used, "MOST_QUOTAS", 1)
            assert [(await look(store, quota, remembered)).day for quota in quotas] == [7, 7]
            assert list(remembered.sums) == [(CountedBy.CALLER, "p-bob", ())]

    run(go())


def test_when_there_is_room_again_is_said_to_the_session_that_makes_it(
    place: Place, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used, "ROWS_AT_ONCE", 2)
    quota = Quota(CountedBy.CALLER, "p-alice", Rates(tokens_per_day=50, recorded_bytes_per_day=100))

    async def frees(store: SqlStore, what: str, too_many: int) -> float:
        return await store.change(lambda transaction: Use(transaction).frees(quota, what, too_many))

    async def go() -> None:
        async with place.store() as store:
            for number in range(10):
                await begin(store, make, f"s{number}", "alice", 5)
                place.clock.time += 300
            passed = place.clock.time - START
            for number, too_many in enumerate(range(5, 51, 5)):
                expected = DAY - passed + 300 * number
                assert await frees(store, "tokens_per_day", too_many) == expected
                assert await frees(store, "recorded_bytes_per_day", 2 * too_many - 1) == expected

    run(go())
