"""Exchanges that wait for a hold are woken in the order in which they came, and once each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from tests.runtime.waiting_fakes import Holds, join, run

from authz_service.core.events import HoldApproved, HoldEnded, WaitElapsed
from authz_service.core.stored_holds import HoldsNow, HoldState
from authz_service.errors import Unavailable
from authz_service.runtime.pacing import Pace
from authz_service.runtime.waiting import Waiting, WatchEvent


def test_an_approval_is_the_turn_of_the_oldest_that_still_waits() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, leave_first = join(waiting)
        second, leave_second = join(waiting)
        third, _ = join(waiting)
        leave_first()
        holds.become(HoldState.APPROVED)
        assert isinstance(await second, HoldApproved)
        assert not first.done()
        assert not third.done()
        leave_second()
        assert isinstance(await third, HoldApproved)

    run(scenario)


def test_the_others_learn_when_one_has_used_the_approval() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, _ = join(waiting)
        second, _ = join(waiting)
        holds.become(HoldState.APPROVED)
        await first
        holds.become(HoldState.RELEASED)
        event = await second
        assert isinstance(event, HoldEnded)
        assert event.hold.state is HoldState.RELEASED

    run(scenario)


def test_who_attaches_to_an_approved_hold_has_their_turn_at_once() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        holds.become(HoldState.APPROVED)
        told, _ = join(waiting)
        assert isinstance(await told, HoldApproved)

    run(scenario)


def test_all_learn_of_a_rejection() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        line = [join(waiting)[0] for _ in range(3)]
        holds.become(HoldState.REJECTED)
        assert [type(event) for event in await asyncio.gather(*line)] == [HoldEnded] * 3

    run(scenario)


def test_a_wait_ends_by_itself() -> None:
    async def scenario(_: Holds, waiting: Waiting) -> None:
        told = join(waiting, seconds=0.01)[0]
        assert await told == WaitElapsed()

    run(scenario)


def test_a_store_that_was_away_is_followed_again() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        holds.is_away = True
        told, _ = join(waiting)
        await asyncio.sleep(0)
        holds.become(HoldState.APPROVED)
        holds.is_away = False
        assert isinstance(await told, HoldApproved)

    run(scenario)


def test_nobody_is_counted_after_leaving() -> None:
    async def scenario(_: Holds, waiting: Waiting) -> None:
        leave = join(waiting)[1]
        assert waiting.total == 1
        leave()
        leave()
        assert waiting.total == 0

    run(scenario)


def test_approvals_of_many_holds_are_passed_on_at_the_pace_and_rejections_at_once() -> None:
    async def whole() -> None:
        holds, rates = Holds(), [1.0]
        waiting = Waiting(holds, Pace(lambda: rates[-1]))
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[WatchEvent]] = [loop.create_future() for _ in range(40)]
        for number, one in enumerate(told):
            waiting.watch(f"hold_{number}", one.set_result, seconds=60.0)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(60):
                await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
                assert sum(one.done() for one in told) == 1
                rates.append(1000.0)
                await asyncio.gather(*told)
        finally:
            following.cancel()
        assert {type(one.result()) for one in told} == {HoldApproved}

    asyncio.run(whole())


def test_an_approval_that_the_store_could_not_be_asked_about_is_passed_on_later() -> None:
    class Flaky(Holds):
        asked = 0

        async def holds_now(self, holds: Collection[str]) -> HoldsNow:
            self.asked += 1
            if self.asked == 1:
                raise Unavailable("away")
            return await super().holds_now(holds)

    async def whole() -> None:
        holds = Flaky()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        holds.become(HoldState.APPROVED)
        told, _ = join(waiting)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(60):
                assert isinstance(await told, HoldApproved)
        finally:
            following.cancel()
        assert holds.asked == 2

    asyncio.run(whole())
