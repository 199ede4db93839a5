"""Exchanges that wait for a hold are woken in the order in which they came, and once each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

import pytest

from authz_service.core.acts import AnswerHead
from authz_service.core.events import HoldApproved, HoldEnded, WaitElapsed
from authz_service.core.holds import Approval, Stage
from authz_service.core.ports import DAMAGED, Hold, HoldChange, HoldsNow, HoldState
from authz_service.errors import Unavailable
from authz_service.runtime.mailbox import ServiceStops
from authz_service.runtime.pacing import Pace
from authz_service.runtime.waiting import Waiting, WatchEvent
from authz_service.view.caller import Caller

HOLD = Hold(
    id="hold_1",
    session="ses_1",
    caller=Caller("https://id", "alice", 2e9),
    fingerprint="f",
    changes="c",
    digest="d",
    size=0,
    forward=b"",
    api="openai.chat",
    operation="chat",
    model="llama",
    rule="r",
    reason="",
    policy="p",
    approvals=(Approval("security", (Stage("true", 1, 60.0),)),),
    findings={},
    previous=None,
    state=HoldState.PENDING,
    version=1,
    created_at=0.0,
    deadline=60.0,
)


class Holds:
    """One hold, its changes, and an outage at will."""

    def __init__(self) -> None:
        self.current = HOLD
        self.changes: list[HoldChange] = []
        self.is_away = False
        self.asked_after: list[int] = []
        self.passed_on = 0

    def become(self, state: HoldState) -> None:
        self.current = replace(self.current, state=state)
        self.changes.append(HoldChange(len(self.changes) + 1, "hold_1", state))

    async def hold_changes(self, after: int) -> list[HoldChange]:
        if self.is_away:
            raise Unavailable("away")
        self.asked_after.append(after)
        return [change for change in self.changes if change.cursor > after]

    async def hold_states(self, holds: Collection[str]) -> dict[str, HoldState]:
        if self.is_away:
            raise Unavailable("away")
        return dict.fromkeys(holds, self.current.state)

    async def last_sequence(self) -> int:
        if self.is_away:
            raise Unavailable("away")
        return len(self.changes)

    async def summaries(self, holds: Collection[str]) -> Mapping[str, Hold | Unavailable]:
        return self._found(holds)

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        self.passed_on += 1
        return HoldsNow(self._found(holds), 1.0)

    def _found(self, holds: Collection[str]) -> dict[str, Hold]:
        return {name: replace(self.current, id=name) for name in holds}


def run(scenario: Callable[[Holds, Waiting], Awaitable[None]]) -> None:
    async def whole() -> None:
        holds = Holds()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(20):
                await scenario(holds, waiting)
        finally:
            following.cancel()

    asyncio.run(whole())


def join(waiting: Waiting, *, seconds: float = 60.0) -> tuple[asyncio.Future[WatchEvent], Callable[[], None]]:
    told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
    watch = waiting.watch("hold_1", told.set_result, seconds=seconds)
    return told, lambda: waiting.leave(watch)


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


def test_a_service_that_stops_lets_go_who_waits_and_whoever_still_joins() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, _ = join(waiting)
        waiting.stop()
        assert await first == ServiceStops()
        late, _ = join(waiting)
        assert await late == ServiceStops()

    run(scenario)


def test_who_was_told_of_an_approval_before_the_service_stops_goes_on_with_it() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, _ = join(waiting)
        second, _ = join(waiting)
        holds.become(HoldState.APPROVED)
        assert isinstance(await first, HoldApproved)
        assert (waiting.total, waiting.untold) == (2, 1)
        waiting.stop()
        assert await second == ServiceStops()

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
            async with asyncio.timeout(20):
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
            async with asyncio.timeout(20):
                assert isinstance(await told, HoldApproved)
        finally:
            following.cancel()
        assert holds.asked == 2

    asyncio.run(whole())


class Spoilt(Holds):
    """`hold_0` cannot be read."""

    code = DAMAGED
    asked = 0

    async def summaries(self, holds: Collection[str]) -> Mapping[str, Hold | Unavailable]:
        return {
            name: self._why_not() if name == "hold_0" else hold for name, hold in self._found(holds).items()
        }

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        if "hold_0" in holds:
            raise self._why_not()
        return await super().holds_now(holds)

    def _why_not(self) -> Unavailable:
        self.asked += 1
        return Unavailable("cannot be opened", code=self.code)


@pytest.mark.parametrize("state", [HoldState.APPROVED, HoldState.REJECTED])
@pytest.mark.parametrize("code", [DAMAGED, "wrong_master_key"])
def test_a_hold_that_cannot_be_read_keeps_no_other_from_its_turn_or_end(code: str, state: HoldState) -> None:
    async def whole() -> None:
        holds = Spoilt()
        holds.code = code
        waiting = Waiting(holds, Pace(lambda: 500.0))
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[WatchEvent]] = [loop.create_future() for _ in range(4)]
        for number, one in enumerate(told):
            waiting.watch(f"hold_{number}", one.set_result, seconds=60.0)
        holds.become(state)
        following = asyncio.create_task(waiting.run())
        wanted = HoldApproved if state is HoldState.APPROVED else HoldEnded
        try:
            async with asyncio.timeout(20):
                assert {type(event) for event in await asyncio.gather(*told[1:])} == {wanted}
        finally:
            following.cancel()
        assert not told[0].done()

    asyncio.run(whole())


def test_a_hold_that_cannot_be_read_is_asked_about_no_more_once_nobody_waits_for_it() -> None:
    async def whole() -> None:
        holds = Spoilt()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        watch = waiting.watch("hold_0", lambda _: None, seconds=60.0)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(20):
                while not holds.asked:
                    await asyncio.sleep(0.001)
                waiting.leave(watch)
                while waiting.approved:
                    await asyncio.sleep(0.001)
        finally:
            following.cancel()

    asyncio.run(whole())


def test_changes_of_before_it_started_are_not_read() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        told, _ = join(waiting)
        holds.become(HoldState.REJECTED)
        assert isinstance(await told, HoldEnded)
        assert min(holds.asked_after) == 2

    async def whole() -> None:
        holds = Holds()
        holds.become(HoldState.PENDING)
        holds.become(HoldState.PENDING)
        waiting = Waiting(holds, Pace(lambda: 500.0))
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(20):
                while not holds.asked_after:
                    await asyncio.sleep(0.001)
                await scenario(holds, waiting)
        finally:
            following.cancel()

    asyncio.run(whole())


def test_who_waits_for_a_hold_that_an_operator_ended_hears_of_it_when_the_order_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        monkeypatch.setattr("authz_service.runtime.waiting.KILL_SECONDS", 0.01)
        told, _ = join(waiting)
        holds.become(HoldState.KILLED)
        event = await told
        assert isinstance(event, HoldEnded)
        assert event.hold.state is HoldState.KILLED

    run(scenario)


def test_before_that_the_order_with_its_reason_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reads(Holds):
        killed_was_read = False

        async def summaries(self, holds: Collection[str]) -> Mapping[str, Hold | Unavailable]:
            self.killed_was_read |= self.current.state is HoldState.KILLED
            return await super().summaries(holds)

    async def whole() -> None:
        monkeypatch.setattr("authz_service.runtime.waiting.KILL_SECONDS", 3600.0)
        holds = Reads()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        told, leave = join(waiting)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(20):
                holds.become(HoldState.KILLED)
                while not holds.killed_was_read:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
                assert not told.done()
                leave()
        finally:
            following.cancel()

    asyncio.run(whole())


def test_once_models_are_left_an_approval_is_kept_for_the_next_process_and_a_rejection_told() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        told, _ = join(waiting)
        waiting.leave_models()
        holds.become(HoldState.APPROVED)
        while waiting.approved or not holds.passed_on:
            await asyncio.sleep(0)
        assert (told.done(), waiting.untold) == (False, 1)
        holds.become(HoldState.REJECTED)
        assert isinstance(await told, HoldEnded)

    run(scenario)


def test_an_approved_answer_of_a_model_is_passed_on_then() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        holds.current = replace(holds.current, answer=AnswerHead(200, {}, {}))
        told, _ = join(waiting)
        waiting.leave_models()
        holds.become(HoldState.APPROVED)
        assert isinstance(await told, HoldApproved)

    run(scenario)
