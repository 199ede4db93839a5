"""Reports of use add up what the sessions on record have, told apart as asked, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.drafts import Make
from tests.store.places import START, Place

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.limits import CountedBy, Quota, Rates
from authz_service.core.usage import Dimension, Left, Usage, UsageQuery
from authz_service.errors import Unreadable
from authz_service.store import usage_report
from authz_service.store.sql_store import SqlStore
from authz_service.store.usage_report import Report, days

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


def test_a_report_over_many_days_adds_up_what_each_day_has(place: Place, make: Make, run: Run) -> None:
    async def go() -> None:
        async with place.store() as store:
            for day in range(4):
                for number in range(day + 1):
                    await ask(store, make, f"{day}-{number}", "alice", "llama", "staff")
                    await end(store, f"{day}-{number}", prompt_tokens=1, completion_tokens=day, bytes=10)
                await ask(store, make, f"{day}-bob", "bob", "llama")
                place.clock.time += DAY + 3600
            by_caller = await store.usage(UsageQuery((Dimension.CALLER,), 0.0))
            assert [(one.subject, one.requests, one.completion_tokens) for one in by_caller] == [
                ("alice", 10, 0 + 2 + 6 + 12),
                ("bob", 4, 0),
            ]
            by_day = await store.usage(UsageQuery((Dimension.DAY,), 0.0, caller="alice"))
            assert [one.requests for one in by_day] == [4, 3, 2, 1]
            assert len({one.day for one in by_day}) == 4
            middle = UsageQuery((Dimension.MODEL,), START + 1, START + 2 * (DAY + 3600) + 1)
            assert [one.requests for one in await store.usage(middle)] == [3 + 4]
            (first,) = await store.usage(UsageQuery((Dimension.CALLER,), 0.0, most=1))
            assert first.subject == "alice"

    run(go())


def test_a_report_that_takes_too_long_says_how_far_it_came_and_what_to_do(
    place: Place, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with place.store() as store:
            await fill(place, make, store)
            monkeypatch.setattr("authz_service.store.parts.usage.REPORT_SECONDS", 0.0)
            with pytest.raises(Unreadable, match=r"the newest 0 of 2 days .* fewer days at once") as refused:
                await store.usage(UsageQuery((Dimension.MODEL,), START))
            assert refused.value.code == "report_too_large"

    run(go())


def test_a_report_that_tells_too_much_apart_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_report, "MOST_TOLD_APART", 2)
    report = Report(UsageQuery((Dimension.CALLER,), START))
    report.add([Usage(caller="a", requests=1), Usage(caller="b", requests=2)])
    report.add([Usage(caller="a", requests=5)])
    assert [(one.caller, one.requests) for one in report.rows()] == [("a", 6), ("b", 2)]
    with pytest.raises(Unreadable, match="tell fewer of them apart"):
        report.add([Usage(caller="c", requests=1)])


@given(since=st.floats(START - 3 * DAY, START), until=st.none() | st.floats(START + 1, START + 9 * DAY))
def test_the_days_of_a_report_follow_upon_each_other_and_leave_nothing_out(
    since: float, until: float | None
) -> None:
    now = START + 2 * DAY
    parts = days(UsageQuery((Dimension.MODEL,), since, until), first=START - 2 * DAY, now=now)[::-1]
    assert parts[0].since == max(since, START - 2 * DAY)
    assert [part.until for part in parts[:-1]] == [part.since for part in parts[1:]]
    assert all(part.since % DAY == 0 for part in parts[1:])
    assert parts[-1].until == until
    assert until is not None or parts[-1].since <= now < parts[-1].since + DAY
