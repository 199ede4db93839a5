"""A claim of the outbox is one process's for a time; what fails is tried again and given up on record."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.outboxes import ALL, DAY, KEY, RETRIED, claimed, opened, wrong
from tests.store.revoking import kinds

from authz_service.core.notifications import DeliveryState, NotificationQuery
from authz_service.errors import Conflict, NotFound


def test_of_racing_processes_one_claims_each(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            for number in range(10):
                await opened(store, make, request=str(number))
            # SQLite serves one process: there the two are two tasks of it.
            second = (
                store if place.url.startswith("sqlite") else await place.open(instance="two", migrate=False)
            )
            got = await asyncio.gather(*(claimed(s, most=3) for s in (store, second) * 4))
            ids = [notification.id for batch in got for notification in batch]
            assert len(ids) == len(set(ids)) == 10

    run(scenario())


def test_a_claim_runs_out_and_who_held_it_can_settle_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            (first,) = await claimed(store)
            assert await claimed(store) == []
            place.clock.time += 60.0
            (again,) = await claimed(store)
            assert (again.id, again.attempts) == (first.id, 2)
            assert not await store.delivered(first)
            assert not await store.not_delivered(first, error="late", again_in=None)
            assert await store.delivered(again)
            assert not await store.delivered(again)
            found = await store.notification(first.id)
            assert (found.state, found.delivered_at) == (DeliveryState.DELIVERED, place.clock.time)
        assert "notification.given_up" not in kinds(place.url)

    run(scenario())


def test_a_failure_is_tried_again_and_giving_up_is_an_entry(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            (first,) = await claimed(store)
            await store.not_delivered(first, error="it answers 500", again_in=5.0)
            assert await claimed(store) == []
            assert [(q.receiver, q.queued) for q in await store.queues()] == [("chat", 1)]
            place.clock.time += 5.0
            (second,) = await claimed(store)
            assert (second.id, second.attempts, second.last_error) == (first.id, 2, "it answers 500")
            await store.not_delivered(second, error="it answers 503", again_in=None)
            assert (await store.notification(first.id)).state is DeliveryState.GIVEN_UP
            assert (await store.queues(), await claimed(store)) == ([], [])
            *_, last = await store.entries(hold.session)
            assert (last.kind, last.data["error"], last.data["attempts"]) == (
                *("notification.given_up", "it answers 503"),
                2,
            )
            await store.retry_notification(first.id, RETRIED, tries=60.0)
            (third,) = await claimed(store)
            assert (third.id, third.give_up_at) == (first.id, place.clock.time + 60.0)
            await store.delivered(third)
            with pytest.raises(Conflict):
                await store.retry_notification(first.id, RETRIED, tries=60.0)
            with pytest.raises(NotFound):
                await store.retry_notification("ntf_none", RETRIED, tries=60.0)
        assert kinds(place.url)[-2:] == ["notification.given_up", "notification.retried"]
        assert wrong(place) == []

    run(scenario())


def test_a_receiver_that_is_gone_is_given_up_and_the_old_are_deleted(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            assert await store.tidy_notifications([], keep=DAY) == 0
            place.clock.time += 600.0
            assert await store.tidy_notifications(["chat"], keep=DAY) == 0
            assert await store.tidy_notifications(["pager"], keep=DAY) == 1
            (found,) = (await store.notifications(NotificationQuery(state=DeliveryState.GIVEN_UP))).items
            assert found.last_error == "no receiver of this name is configured"
            place.clock.time += DAY
            assert await store.tidy_notifications(["chat"], keep=DAY) == 1
            assert (await store.notifications(NotificationQuery())).items == ()
        assert wrong(place) == []

    run(scenario())
