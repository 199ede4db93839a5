"""Reports of use add up what the sessions on record have, told apart as asked, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from tests.store.conftest import START, Make, Place

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.limits import CountedBy, Quota, Rates
from authz_service.core.usage import Dimension, Left, Usage, UsageQuery
from authz_service.store.sql_store import SqlStore

Run = Callable[[Coroutine[Any, Any, Any]], Any]
DAY = 86_400


async def ask(
    store: SqlStore, make: Make, session: str, who: str, model: str, *groups: str, key: str = ""
) -> None:
    draft = make.received(session, who)
    caller = orjson.loads(draft.payloads["caller"]) | {"groups": list(groups)}
    data: dict[str, Scalar] = {"model": model, "tokens": 99, "bytes": 10}
    if key:
        data["key"] = key
    payloads = {**draft.payloads, "caller": orjson.dumps(caller)}
    await store.append(EntryDraft(draft.kind, session, {**draft.data, **data}, payloads))


async def end(store: SqlStore, session: str, outcome: str = "completed", **data: int) -> None:
    await store.append(EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": outcome, **data}))


async def fill(place: Place, make: Make, store: SqlStore) -> None:
    """Two days of two people and a key."""
    await ask(store, make, "a", "alice", "llama", "staff", "night")
    await end(store, "a", prompt_tokens=3, completion_tokens=4, bytes=30)
    await ask(store, make, "b", "alice", "other", "staff")
    await end(store, "b", "broken_off", tokens=50, bytes=20)
    await ask(store, make, "c", "bob", "llama")
    await end(store, "c", "limited", tokens=0)
    again: dict[str, Scalar] = {"code": "rate_limit_exceeded", "count": 4}
    await store.append(EntryDraft(Kind.REQUEST_REFUSED_AGAIN, "c", again))
    place.clock.time += DAY
    await ask(store, make, "d", "nightly", "llama", "staff", key="key_1")


def report(
    place: Place, make: Make, run: Run, *by: Dimension, since: float = START, **more: Any
) -> list[Usage]:
    async def go() -> list[Usage]:
        async with place.store() as store:
            await fill(place, make, store)
            return list(await store.usage(UsageQuery(by, since, **more)))

    found: list[Usage] = run(go())
    return found


def test_by_caller_those_with_the_most_requests_come_first(place: Place, make: Make, run: Run) -> None:
    alice, nightly, bob = report(place, make, run, Dimension.CALLER)
    assert alice == Usage(
        caller="p-alice",
        subject="alice",
        requests=2,
        prompt_tokens=3,
        completion_tokens=4,
        tokens=57,
        size=50,
    )
    assert nightly == Usage(caller="p-nightly", subject="nightly", requests=1, tokens=99, size=10)
    assert (bob.subject, bob.requests, bob.limited, bob.tokens) == ("bob", 0, 5, 0)


def test_by_day_and_model_the_newest_day_comes_first(place: Place, make: Make, run: Run) -> None:
    found = report(place, make, run, Dimension.DAY, Dimension.MODEL)
    assert len({usage.day for usage in found}) == 2
    assert [usage.day for usage in found] == sorted((usage.day for usage in found), reverse=True)
    assert [(usage.model, usage.requests) for usage in found] == [("llama", 1), ("llama", 1), ("other", 1)]
    assert {usage.subject for usage in found} == {""}


def test_by_group_a_request_counts_in_each_group_and_without_any_under_none(
    place: Place, make: Make, run: Run
) -> None:
    found = report(place, make, run, Dimension.GROUP)
    assert [(usage.group, usage.requests) for usage in found] == [("staff", 3), ("night", 1), ("", 0)]


def test_by_key_only_what_was_asked_with_one_counts(place: Place, make: Make, run: Run) -> None:
    (found,) = report(place, make, run, Dimension.KEY)
    assert (found.key, found.subject, found.requests) == ("key_1", "nightly", 1)


def test_filters_and_times_narrow_it(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            await fill(place, make, store)

            async def requests(since: float = START, **more: Any) -> int:
                found = await store.usage(UsageQuery((Dimension.MODEL,), since, **more))
                return sum(usage.requests for usage in found)

            assert await requests() == 3
            assert await requests(START + 1) == 1
            assert await requests(until=START + 1) == 2
            assert await requests(START + DAY + 1) == 0
            assert await requests(caller="alice") == await requests(caller="p-alice") == 2
            assert (await requests(pseudonym="p-alice"), await requests(pseudonym="alice")) == (2, 0)
            assert await requests(group="night") == 1
            assert await requests(group="staff", model="llama") == 2
            assert await requests(key="key_1") == await requests(key="nightly") == 1
            assert await requests(key="alice") == 0
            assert len(await store.usage(UsageQuery((Dimension.CALLER,), START, most=1))) == 1

    run(go())


def test_what_is_left_of_a_quota_is_said_for_each_of_its_rates(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            await fill(place, make, store)
            llama = Quota(CountedBy.MODEL, "llama", Rates(requests_per_minute=1, tokens_per_day=100))
            open_ = Quota(CountedBy.KEY, "key_1", Rates(concurrent=3, recorded_bytes_per_day=5))
            assert await store.left([llama, open_]) == [
                Left(CountedBy.MODEL, "llama", "requests_per_minute", 1, 1, 60.0),
                Left(CountedBy.MODEL, "llama", "tokens_per_day", 100, 99),
                Left(CountedBy.KEY, "key_1", "recorded_bytes_per_day", 5, 10, 86_400.0),
                Left(CountedBy.KEY, "key_1", "concurrent", 3, 1),
            ]
            active = await store.active_callers(START, "", most=9)
            assert [(one.caller.subject, one.caller.groups) for one in active] == [
                ("nightly", ("staff",)),
                ("bob", ()),
                ("alice", ("staff",)),
            ]
            (only,) = await store.active_callers(START, "alice", most=9)
            assert only.pseudonym == "p-alice"
            assert len(await store.active_callers(START, "", most=2)) == 2
            assert await store.active_callers(START + DAY + 1, "", most=9) == ()

    run(go())
