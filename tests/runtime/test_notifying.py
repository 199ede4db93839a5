"""Delivery over a real store: each receiver at its own pace, at least once, for a bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.drafts import Make
from tests.store.places import Place, pseudonym_of

from authz_service.config.notify_values import CallerShown, NotifiedWebhook, Notify, Secret
from authz_service.core.notifications import DeliveryState, NotificationQuery
from authz_service.core.stored_holds import HoldLimits
from authz_service.notify.channel import NotDelivered, Notice
from authz_service.runtime.notifying import TEST, Notifying
from authz_service.servers.notify_metrics import NotifyMetrics


@dataclass
class FakeChannel:
    """Keeps notices; `fail` says what is wrong, `hang` that it never answers, `broken` that it is ours."""

    name: str
    notices: list[Notice] = field(default_factory=list)
    fail: str = ""
    again_in: float = 0.0
    hang: bool = False
    broken: bool = False

    async def deliver(self, notice: Notice) -> None:
        self.notices.append(notice)
        if self.hang:
            await asyncio.Event().wait()
        if self.broken:
            raise RuntimeError("a fault of ours")
        if self.fail:
            raise NotDelivered(self.fail, again_in=self.again_in)


class Desk:
    """A store, channels by name, and what delivers."""

    def __init__(self, place: Place, store: Any, *hooks: NotifiedWebhook, **more: Any) -> None:
        self.place, self.store, self.make = place, store, Make()
        self.channels: dict[str, FakeChannel] = {}
        self.settings = Notify(hooks, link="https://r.example/{hold}", give_up_after=100.0)
        store.outbox.wanted = self.settings.wanted
        self.notifying = self.another(**more)

    def another(self, **more: Any) -> Notifying:
        return Notifying(
            self.store, self.settings, pseudonym_of, channel_of=self.channel, chance=lambda: 1.0, **more
        )

    def channel(self, hook: NotifiedWebhook) -> FakeChannel:
        return self.channels.setdefault(hook.name, FakeChannel(hook.name))

    async def open(self, request: str = "one") -> Any:
        found = await self.store.open_hold(self.make.hold(request=request), HoldLimits())
        self.notifying.heard([found.hold.id])
        return found.hold

    async def rows(self) -> Any:
        return (await self.store.notifications(NotificationQuery())).items


def hook(name: str, **more: Any) -> NotifiedWebhook:
    return NotifiedWebhook(name, "https://x.example", Secret(), **more)


async def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60.0
    while True:
        found = what()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def place(sqlite_url: str) -> Place:
    return Place(sqlite_url)


async def all_are(desk: Desk, state: DeliveryState) -> bool:
    rows = await desk.rows()
    return bool(rows) and all(row.state is state for row in rows)


def test_a_notice_says_who_asks_as_the_receiver_is_to_be_told(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat", caller=CallerShown.NAME), hook("pager"))
            task = asyncio.create_task(desk.notifying.run())
            hold = await desk.open()
            await until(lambda: all_are(desk, DeliveryState.DELIVERED))
            (named,), (other,) = desk.channels["chat"].notices, desk.channels["pager"].notices
            assert named.caller == "alice"
            assert other.caller == pseudonym_of(("https://issuer.example", "alice"))
            assert (named.type, named.hold, named.rule, named.model, named.deadline, named.link) == (
                *("hold.opened", hold.id, "contractors", "llama", hold.deadline),
                f"https://r.example/{hold.id}",
            )
            assert named.id != other.id
            await stopped(task)

    run(scenario())


def test_one_that_hangs_fails_or_breaks_holds_up_nobody_else(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("hangs"), hook("fails"), hook("broken"), hook("good"))
            desk.channels["hangs"].hang = True
            desk.channels["fails"].fail = "it answers 500"
            desk.channels["broken"].broken = True
            task = asyncio.create_task(desk.notifying.run())
            for number in range(20):
                await desk.open(str(number))
            await until(lambda: len(desk.channels["good"].notices) == 20)
            await until(lambda: desk.notifying.standings["good"].delivered == 20)
            expected = {
                *(("hangs", ""), ("good", "")),
                *(("fails", "it answers 500"), ("broken", "it failed (RuntimeError)")),
            }

            async def are_told() -> bool:
                return {(row.receiver, row.last_error) for row in await desk.rows()} == expected

            await until(are_told)
            assert 1 <= len(desk.channels["hangs"].notices) <= 8
            assert not task.done()
            await stopped(task)

    run(scenario())


def test_attempts_are_further_apart_each_time_and_end(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"), first_pause=10.0)
            chat = desk.channels["chat"]
            chat.fail = "it answers 500"
            task = asyncio.create_task(desk.notifying.run())
            await desk.open()
            for attempt, pause in ((1, 10.0), (2, 20.0), (3, 40.0)):

                async def is_again(attempt: int = attempt, pause: float = pause) -> bool:
                    (row,) = await desk.rows()  # before it has failed, it is claimed until a minute later
                    return bool(row.attempts == attempt and row.next_at - place.clock.time == pause)

                await until(is_again)
                place.clock.time += pause
                desk.notifying.heard([])

            # 70 s have passed, and the next attempt would be 80 s later, beyond 100.
            await until(lambda: all_are(desk, DeliveryState.GIVEN_UP))
            assert [notice.id for notice in chat.notices] == [chat.notices[0].id] * 4
            standing = desk.notifying.standings["chat"]
            await until(lambda: standing.given_up == 1)  # which is counted once the store has said so
            assert (standing.failures, standing.given_up, standing.delivered) == (4, 1, 0)
            await stopped(task)

    run(scenario())


@pytest.mark.parametrize(("again_in", "pause"), [(45.0, 45.0), (1.0, 10.0)])
def test_a_receiver_that_asks_for_a_longer_pause_gets_it(
    place: Place,
    run: Any,
    again_in: float,
    pause: float,
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"), first_pause=10.0)
            desk.channels["chat"].fail, desk.channels["chat"].again_in = "it answers 429", again_in
            task = asyncio.create_task(desk.notifying.run())
            await desk.open()

            async def has_failed() -> bool:
                (row,) = await desk.rows()
                return bool(row.last_error)

            await until(has_failed)
            (row,) = await desk.rows()
            assert row.next_at - place.clock.time == pause
            await stopped(task)

    run(scenario())


def test_what_a_process_died_with_comes_again_with_the_same_id(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"), lease=30.0)
            chat = desk.channels["chat"]
            chat.hang = True
            task = asyncio.create_task(desk.notifying.run())
            await desk.open()
            await until(lambda: len(chat.notices) == 1)
            await stopped(task)  # it arrived, and nobody wrote that down
            chat.hang = False
            task = asyncio.create_task(desk.another().run())
            assert len(chat.notices) == 1
            place.clock.time += 30.0
            await until(lambda: all_are(desk, DeliveryState.DELIVERED))
            first, second = chat.notices
            assert first == second
            await stopped(task)

    run(scenario())


def test_a_reload_changes_who_is_told(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("old"))
            task = asyncio.create_task(desk.notifying.run())
            desk.settings = replace(desk.settings, webhooks=(hook("new"),))
            store.outbox.wanted = desk.settings.wanted
            desk.notifying.replace(desk.settings)
            await desk.open()
            await until(lambda: all_are(desk, DeliveryState.DELIVERED))
            assert (len(desk.channels["old"].notices), len(desk.channels["new"].notices)) == (0, 1)
            assert list(desk.notifying.receivers) == ["new"]
            await stopped(task)

    run(scenario())


def test_a_store_that_is_away_ends_nothing(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"))
            await desk.open()
        notifying = desk.notifying
        task = asyncio.create_task(notifying.run())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not task.done()
        await stopped(task)

    run(scenario())


def test_a_test_is_about_nothing_and_says_what_was_answered(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"))
            await desk.notifying.test("chat")
            (notice,) = desk.channels["chat"].notices
            assert (notice.type, notice.hold, notice.caller) == (TEST, "", "")
            desk.channels["chat"].fail = "it answers 404"
            with pytest.raises(NotDelivered, match="404"):
                await desk.notifying.test("chat")
            assert await desk.rows() == ()

    run(scenario())


def test_metrics_say_what_waits_and_since_when(place: Place, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"))
            desk.channels["chat"].fail = "it answers 500"
            task = asyncio.create_task(desk.notifying.run())
            await desk.open()
            await until(lambda: desk.notifying.standings["chat"].failures == 1)
            place.clock.time += 3.0
            desk.notifying.heard([])
            await until(lambda: desk.notifying.now == place.clock.time)
            await until(lambda: desk.notifying.standings["chat"].queued == 1)
            samples = {
                sample.name: sample.value
                for metric in NotifyMetrics(desk.notifying).collect()
                for sample in metric.samples
                if sample.labels == {"receiver": "chat"}
            }
            assert samples == {
                "authz_notify_queued": 1,
                "authz_notify_oldest_seconds": 3.0,
                "authz_notify_delivered_total": 0,
                "authz_notify_failures_total": 1,
                "authz_notify_given_up_total": 0,
            }
            await stopped(task)

    run(scenario())


def test_whatever_goes_wrong_with_one_receiver_or_notification_ends_nothing(
    place: Place, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("damaged"), hook("good"))
            claim, delivered, queues = store.claim_notifications, store.delivered, store.queues
            wrong = {"look": 1, "settle": 1}

            def goes_wrong(what: str) -> bool:
                wrong[what] -= 1
                return wrong[what] >= 0

            async def asked() -> Any:
                if goes_wrong("look"):
                    raise TypeError("a secret")
                return await queues()

            async def claimed(receiver: str, **more: Any) -> Any:
                if receiver == "damaged":
                    raise ValueError("a secret")
                return await claim(receiver, **more)

            async def settled(notification: Any) -> bool:
                if goes_wrong("settle"):
                    raise KeyError("a secret")
                return bool(await delivered(notification))

            monkeypatch.setattr(store, "queues", asked)
            monkeypatch.setattr(store, "claim_notifications", claimed)
            monkeypatch.setattr(store, "delivered", settled)
            with capture_logs() as logs:
                task = asyncio.create_task(desk.notifying.run())
                await desk.open("one")
                await desk.open("two")
                await until(lambda: desk.notifying.standings["good"].delivered == 1)
                await until(lambda: len(logs) >= 4)
            assert not task.done()
            assert {(line["event"], line["error"]) for line in logs} == {
                ("notifications.look_failed", "TypeError"),
                ("notifications.serve_failed", "ValueError"),
                ("notification.failed", "KeyError"),
                ("notification.not_delivered", "it failed (KeyError)"),
            }
            await stopped(task)

    run(scenario())


def test_what_fails_by_a_fault_of_ours_each_time_is_given_up_like_any_other(
    place: Place, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            desk = Desk(place, store, hook("chat"), first_pause=60.0)

            async def settled(_: Any) -> bool:
                raise KeyError("a secret")

            monkeypatch.setattr(store, "delivered", settled)
            task = asyncio.create_task(desk.notifying.run())
            await desk.open()

            async def has_failed() -> bool:
                (row,) = await desk.rows()
                return bool(row.last_error == "it failed (KeyError)")

            await until(has_failed)
            place.clock.time += 60.0
            desk.notifying.heard([])
            await until(lambda: all_are(desk, DeliveryState.GIVEN_UP))
            assert len(desk.channels["chat"].notices) == 2
            standing = desk.notifying.standings["chat"]
            await until(lambda: standing.given_up == 1)
            assert (standing.failures, standing.given_up, standing.delivered) == (2, 1, 0)
            await stopped(task)

    run(scenario())
