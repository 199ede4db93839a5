"""A notification that an operator has tried again begins anew, and one of a damaged hold stops no other."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.outboxes import ALL, KEY, RETRIED, change, claimed, opened, wrong

from authz_service.core.notifications import NOBODY, DeliveryState, NotificationQuery
from authz_service.store.outbox_rows import DAMAGED_ROW


def test_attempts_count_from_the_retry_and_who_had_it_before_settles_nothing(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            for number in (1, 2, 3):
                (late,) = await claimed(store)
                assert late.attempts == number
                place.clock.time += 60.0
            await store.retry_notification(late.id, RETRIED, tries=600.0)
            found = await store.notification(late.id)
            assert (found.state, found.attempts) == (DeliveryState.QUEUED, 0)
            (first,) = await claimed(store)
            assert (first.id, first.attempts) == (late.id, 1)
        assert wrong(place) == []

    run(scenario())


def test_a_settlement_from_before_the_retry_is_of_no_use_with_as_many_attempts(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            (before,) = await claimed(store)
            place.clock.time += 5.0
            await store.retry_notification(before.id, RETRIED, tries=600.0)
            (again,) = await claimed(store)
            assert again.attempts == before.attempts == 1
            assert not await store.not_delivered(before, error="late", again_in=None)
            assert not await store.delivered(before)
            assert await store.delivered(again)

    run(scenario())


@pytest.mark.parametrize("identity", ["", "5", "[]", "[1, 2, 3]", "null"])
def test_one_of_a_damaged_hold_is_nobodys_and_the_others_are_told(
    place: Any, make: Any, run: Any, identity: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            await opened(store, make, request="two")
            change(place, f"UPDATE holds SET identity = '{identity}' WHERE id = '{hold.id}'")
            found = await claimed(store)
            assert [(n.hold == hold.id, n.identity == NOBODY) for n in found] == [
                (True, True),
                (False, False),
            ]

    run(scenario())


@pytest.mark.parametrize(
    "place", ["sqlite"], indirect=True
)  # the other database has no values of other types
@pytest.mark.parametrize("column", ["at", "deadline", "next_at", "give_up_at", "attempts", "seq", "changed"])
def test_a_row_with_a_value_of_another_type_keeps_no_other_from_being_told_or_listed(
    place: Any, make: Any, run: Any, column: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            damaged = await opened(store, make)
            other = await opened(store, make, request="another")
            change(place, f"UPDATE outbox SET {column} = 'x' WHERE hold = '{damaged.id}'")
            with capture_logs() as logs:
                found = {one.hold: one for one in await claimed(store)}
            is_unread = column in ("next_at", "changed")  # it is not due, or not asked for
            assert [line["hold"] for line in logs] == ([] if is_unread else [damaged.id])
            assert await store.delivered(found[other.id])
            assert {queue.receiver for queue in await store.queues()} == {"chat"}
            listed = (await store.notifications(NotificationQuery())).items
            assert {one.hold: one.last_error for one in listed} == {
                damaged.id: "" if column in ("changed", "attempts") else DAMAGED_ROW,
                other.id: "",
            }
            if damaged.id in found:
                assert await store.delivered(found[damaged.id])

    run(scenario())
