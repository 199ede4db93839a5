"""Of holds that cannot be read or were ended before, and whom they keep waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.runtime.waiting_fakes import Holds, join, run

from authz_service.core.events import HoldApproved, HoldEnded
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_holds import Hold, HoldsNow, HoldState
from authz_service.errors import Unavailable
from authz_service.runtime.pacing import Pace
from authz_service.runtime.waiting import Waiting, WatchEvent


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
            async with asyncio.timeout(60):
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
            async with asyncio.timeout(60):
                while not holds.asked:
                    await asyncio.sleep(0.001)
                waiting.leave(watch)
                while waiting.approved:
                    await asyncio.sleep(0.001)
        finally:
            following.cancel()

    asyncio.run(whole())


def test_who_is_approved_beside_it_does_not_wait_until_it_is_asked_about_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("authz_service.runtime.waiting.POLL_SECONDS", 3600.0)

    async def whole() -> None:
        holds = Spoilt()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        waiting.watch("hold_0", lambda _: None, seconds=60.0)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(60):
                while not holds.asked:
                    await asyncio.sleep(0.001)
                told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
                waiting.watch("hold_1", told.set_result, seconds=60.0)
                assert isinstance(await told, HoldApproved)
        finally:
            following.cancel()

    asyncio.run(whole())


def test_it_takes_no_turn_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authz_service.runtime.waiting.UNREAD_SECONDS", 3600.0)

    async def whole() -> None:
        holds = Spoilt()
        waiting = Waiting(holds, Pace(lambda: 1 / 3600))
        told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
        waiting.watch("hold_0", lambda _: None, seconds=60.0)
        waiting.watch("hold_1", told.set_result, seconds=60.0)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(60):
                assert isinstance(await told, HoldApproved)
        finally:
            following.cancel()
        assert holds.asked == 1

    asyncio.run(whole())


@pytest.mark.parametrize("code", ["store_unavailable", "key_store_unavailable"])
def test_while_the_store_or_its_keys_are_away_no_hold_is_asked_for_alone_or_named(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr("authz_service.runtime.waiting.POLL_SECONDS", 0.01)

    class Out(Holds):
        read: tuple[int, ...] = ()

        async def holds_now(self, holds: Collection[str]) -> HoldsNow:
            self.read = (*self.read, len(holds))
            if len(self.read) < 4:
                raise Unavailable("away", code=code)
            return await super().holds_now(holds)

    async def whole() -> None:
        holds = Out()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[WatchEvent]] = [loop.create_future() for _ in range(2)]
        for number, one in enumerate(told):
            waiting.watch(f"hold_{number}", one.set_result, seconds=60.0)
        holds.become(HoldState.APPROVED)
        with capture_logs() as logs:
            following = asyncio.create_task(waiting.run())
            async with asyncio.timeout(60):
                assert {type(event) for event in await asyncio.gather(*told)} == {HoldApproved}
            following.cancel()
        assert holds.read[:3] == (2, 2, 2)
        assert not logs

    asyncio.run(whole())


def test_it_is_asked_about_again_until_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authz_service.runtime.waiting.UNREAD_SECONDS", 0.01)

    class Mended(Spoilt):
        async def holds_now(self, holds: Collection[str]) -> HoldsNow:
            return await (Holds.holds_now(self, holds) if self.asked > 3 else super().holds_now(holds))

    async def whole() -> None:
        holds = Mended()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
        waiting.watch("hold_0", told.set_result, seconds=60.0)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        try:
            async with asyncio.timeout(60):
                assert isinstance(await told, HoldApproved)
        finally:
            following.cancel()

    asyncio.run(whole())


def test_however_many_join_its_line_one_question_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    unread = 3600.0
    monkeypatch.setattr("authz_service.runtime.waiting.UNREAD_SECONDS", unread)

    async def whole() -> None:
        holds = Spoilt()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        loop, put_off = asyncio.get_running_loop(), list[object]()
        call_later = loop.call_later

        def counting(seconds: float, *call: Any, **named: Any) -> asyncio.TimerHandle:
            put_off.extend([call] * (seconds == unread))
            return call_later(seconds, *call, **named)

        monkeypatch.setattr(loop, "call_later", counting)
        holds.become(HoldState.APPROVED)
        following = asyncio.create_task(waiting.run())
        async with asyncio.timeout(60):
            for number in range(1, 20):
                waiting.watch("hold_0", lambda event: None, seconds=60.0)
                while holds.asked < number:
                    await asyncio.sleep(0)
        following.cancel()
        assert len(put_off) == 1

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
            async with asyncio.timeout(60):
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
            async with asyncio.timeout(60):
                holds.become(HoldState.KILLED)
                while not holds.killed_was_read:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
                assert not told.done()
                leave()
        finally:
            following.cancel()

    asyncio.run(whole())


def test_whatever_goes_wrong_with_one_hold_the_others_are_told() -> None:
    class Broken(Spoilt):
        async def holds_now(self, holds: Collection[str]) -> HoldsNow:
            if "hold_0" in holds:
                raise ValueError("a secret")
            return await super().holds_now(holds)

        async def hold_states(self, holds: Collection[str]) -> dict[str, HoldState]:
            self.asked += 1
            if self.asked < 3:
                raise TypeError("a secret")
            return await super().hold_states(holds)

    async def whole() -> None:
        holds = Broken()
        waiting = Waiting(holds, Pace(lambda: 500.0))
        told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
        waiting.watch("hold_0", lambda _: None, seconds=60.0)
        waiting.watch("hold_1", told.set_result, seconds=60.0)
        holds.become(HoldState.APPROVED)
        with capture_logs() as logs:
            following = asyncio.create_task(waiting.run())
            async with asyncio.timeout(60):
                assert isinstance(await told, HoldApproved)
        following.cancel()
        said = [(line["event"], line["error"]) for line in logs]
        assert said == [("holds.follow_failed", "TypeError"), ("hold.not_passed_on", "ValueError")]

    asyncio.run(whole())
