"""Holds as a store has them for those who wait, and a turn to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import Hold, HoldChange, HoldsNow, HoldState
from authz_service.errors import Unavailable
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
            async with asyncio.timeout(60):
                await scenario(holds, waiting)
        finally:
            following.cancel()

    asyncio.run(whole())


def join(waiting: Waiting, *, seconds: float = 60.0) -> tuple[asyncio.Future[WatchEvent], Callable[[], None]]:
    told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
    watch = waiting.watch("hold_1", told.set_result, seconds=seconds)
    return told, lambda: waiting.leave(watch)
