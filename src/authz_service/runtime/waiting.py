"""Wakes the exchanges that wait for holds, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog

from authz_service.core.events import HoldApproved, HoldEnded, WaitElapsed
from authz_service.core.ports import Hold, HoldState, Store
from authz_service.errors import AuthzError
from authz_service.runtime.mailbox import ServiceStops
from authz_service.runtime.pacing import Pace

log = structlog.get_logger(__name__)

WatchEvent = HoldApproved | HoldEnded | WaitElapsed | ServiceStops

POLL_SECONDS = 0.25
"""How often the store is asked for changes: the truth, for what `nudge` does not tell."""


@dataclass(eq=False, slots=True)
class Watch:
    """One exchange's place in the line of a hold; `notify` is called once at most."""

    hold: str
    notify: Callable[[WatchEvent], None]
    timer: asyncio.TimerHandle | None = None
    is_told: bool = False

    def tell(self, event: WatchEvent) -> None:
        """Pass the one event on."""
        if self.is_told:
            return
        self.is_told = True
        if self.timer is not None:
            self.timer.cancel()
        self.notify(event)


@dataclass(slots=True)
class Waiting:
    """All watches of this process. `run` follows the store until it is cancelled.

    An approval is the turn of the first in line as soon as `pace` lets it; all other ends are told at once.
    """

    store: Store
    pace: Pace
    _lines: dict[str, list[Watch]] = field(default_factory=lambda: defaultdict(list))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _dirty: set[str] = field(default_factory=set)
    _approved: dict[str, None] = field(default_factory=dict)  # in order
    _has_approved: asyncio.Event = field(default_factory=asyncio.Event)
    _is_stopping: bool = False

    @property
    def total(self) -> int:
        """How many exchanges wait for any hold in this process."""
        return sum(len(line) for line in self._lines.values())

    @property
    def approved(self) -> int:
        """How many approved holds wait for their turn by the pace."""
        return len(self._approved)

    def watch(self, hold: str, notify: Callable[[WatchEvent], None], *, seconds: float) -> Watch:
        """Join the line of `hold`; after `seconds` without a decision the event is WaitElapsed."""
        watch = Watch(hold, notify)
        watch.timer = asyncio.get_running_loop().call_later(seconds, watch.tell, WaitElapsed())
        self._lines[hold].append(watch)
        if self._is_stopping:
            watch.tell(ServiceStops())
        self.nudge(hold)
        return watch

    def leave(self, watch: Watch) -> None:
        """Leave the line; whoever is first then may have their turn."""
        watch.is_told = True
        if watch.timer is not None:
            watch.timer.cancel()
        line = self._lines.get(watch.hold)
        if line and watch in line:
            line.remove(watch)
            if line:
                self.nudge(watch.hold)
            else:
                del self._lines[watch.hold]

    def stop(self) -> None:
        """Tell everybody, and whoever still joins; who has been told of an approval goes on with it."""
        self._is_stopping = True
        for line in self._lines.values():
            for watch in line:
                watch.tell(ServiceStops())

    def nudge(self, hold: str) -> None:
        """Look at this hold now rather than at the next poll."""
        self._dirty.add(hold)
        self._wake.set()

    def heard(self, holds: Collection[str]) -> None:
        """The store says that these changed: look at those that somebody waits for here."""
        for hold in self._lines.keys() & set(holds):
            self.nudge(hold)

    async def run(self) -> None:
        """Follow changes and pass approvals on until cancelled; goes on when the store was away."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._follow_on())
            both.create_task(self._release_on())

    async def _follow_on(self) -> None:
        cursor = 0
        is_away = False
        while True:
            try:
                cursor, has_more = await self._follow(cursor)
                is_away = False
            except AuthzError as error:
                if not is_away:
                    log.warning("holds.follow_failed", error=str(error))
                is_away, has_more = True, False
            if not has_more:
                await self._sleep()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _follow(self, cursor: int) -> tuple[int, bool]:
        """One look at what changed; the new cursor, and whether there is more behind it."""
        changed, self._dirty = self._dirty, set()
        try:
            changes = await self.store.hold_changes(cursor)
            changed |= {change.hold for change in changes}
            changed &= self._lines.keys()
            states = await self.store.hold_states(changed)
            for hold, state in sorted(states.items()):
                if state is HoldState.APPROVED:
                    self._approved[hold] = None
                    self._has_approved.set()
                elif state is not HoldState.PENDING:
                    await self._look(hold)
                changed.discard(hold)
        except AuthzError:
            self._dirty |= changed
            raise
        return (changes[-1].cursor, True) if changes else (cursor, False)

    async def _release_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._has_approved.wait()
            number, seconds = self.pace.take(len(self._approved), loop.time())
            if number:
                await self._release(list(islice(self._approved, number)))
            else:
                await asyncio.sleep(seconds)

    async def _release(self, holds: Sequence[str]) -> None:
        for hold in holds:
            del self._approved[hold]  # whoever is approved from here on is looked at again
        told = await asyncio.gather(*map(self._look, holds), return_exceptions=True)
        for hold, error in zip(holds, told, strict=True):
            if isinstance(error, AuthzError):
                self._approved[hold] = None
            elif error is not None:
                raise error
        if not self._approved:
            self._has_approved.clear()
        elif any(told):
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, hold_id: str) -> None:
        hold = await self.store.hold(hold_id)
        line = list(self._lines.get(hold_id, ()))
        if hold is None or hold.state is HoldState.PENDING or not line:
            return
        if hold.state is HoldState.APPROVED:
            now = await self.store.now()
            line[0].tell(HoldApproved(hold, now))
            return
        for watch in line:
            if not self._is_user_of(watch, hold):
                watch.tell(HoldEnded(hold))

    def _is_user_of(self, watch: Watch, hold: Hold) -> bool:
        """Whoever was told of the approval uses it; they learn from `consume` how that went."""
        return watch.is_told and hold.state is HoldState.RELEASED
