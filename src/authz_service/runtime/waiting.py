"""Wakes the exchanges that wait for holds, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import structlog

from authz_service.core.events import HoldApproved, HoldEnded, WaitElapsed
from authz_service.core.stored_holds import HoldChange, HoldsNow, HoldState, HoldSummary
from authz_service.errors import AuthzError, Unavailable
from authz_service.runtime.mailbox import ServiceStops
from authz_service.runtime.mishaps import Mishaps
from authz_service.runtime.pacing import Pace

log = structlog.get_logger(__name__)

WatchEvent = HoldApproved | HoldEnded | WaitElapsed | ServiceStops

POLL_SECONDS = 0.25
"""How often the store is asked for changes: the truth, for what `nudge` does not tell."""

READ_AT_ONCE = 32
"""Approved holds that are read together, with what they hold."""

KILL_SECONDS = 5.0
"""How long who waits for a hold that an operator ended is left to the order that says so to them."""

UNREAD_SECONDS = 5.0
"""How often a hold that cannot be read is asked about again: each time those beside it are read singly."""

AWAY = frozenset({"store_unavailable", "key_store_unavailable"})
"""The codes of errors that are nothing of the hold's that was asked about."""

_OPEN = (HoldState.PENDING, HoldState.APPROVED)


class HoldStore(Protocol):
    """What of a store tells how holds stand; see `core.ports.Store`."""

    async def last_sequence(self) -> int: ...

    async def hold_changes(self, after: int) -> Sequence[HoldChange]: ...

    async def hold_states(self, holds: Collection[str]) -> Mapping[str, HoldState]: ...

    async def summaries(self, holds: Collection[str]) -> Mapping[str, HoldSummary | Unavailable]: ...

    async def holds_now(self, holds: Collection[str]) -> HoldsNow: ...


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

    store: HoldStore
    pace: Pace
    _lines: dict[str, list[Watch]] = field(default_factory=lambda: defaultdict(list))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _dirty: set[str] = field(default_factory=set)
    _approved: dict[str, None] = field(default_factory=dict)  # in order
    _has_approved: asyncio.Event = field(default_factory=asyncio.Event)
    _named: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)  # those that are asked about again after a while
    _is_stopping: bool = False
    _leaves_models: bool = False

    @property
    def total(self) -> int:
        """How many exchanges wait for any hold in this process; any thread may ask."""
        return sum(len(line) for line in list(self._lines.values()))

    @property
    def untold(self) -> int:
        """How many of them have nothing else to do: no decision has been passed on to them yet."""
        return sum(not watch.is_told for line in self._lines.values() for watch in line)

    @property
    def is_stopping(self) -> bool:
        """Whether all have been told that the process stops."""
        return self._is_stopping

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

    def leave_models(self) -> None:
        """From here on pass no approval on by which a model is asked: its answer would be cut.

        Such a hold stays approved, for the next process. Every other end is told as before.
        """
        self._leaves_models = True

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
        seen = _Seen()
        mishaps = Mishaps("holds.follow_failed")
        while True:
            try:
                await self._follow(seen)
                mishaps.over()
            except Exception as error:  # whatever one row has, those who wait for others are told
                mishaps.say(error)
                seen.has_more = False
            if not seen.has_more:
                await self._sleep()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _follow(self, seen: _Seen) -> None:
        """Look at what is known to have changed, and ask for more when it is time."""
        now = asyncio.get_running_loop().time()
        if seen.has_more or now >= seen.ask_at:
            # Before anything is looked at: what changes from here on is told by its number.
            seen.cursor = await self.store.last_sequence() if seen.cursor is None else seen.cursor
            changes = await self.store.hold_changes(seen.cursor)
            self._dirty |= {change.hold for change in changes}
            seen.has_more, seen.ask_at = bool(changes), now + POLL_SECONDS
            seen.cursor = changes[-1].cursor if changes else seen.cursor
        changed, self._dirty = self._dirty & self._lines.keys(), set()
        try:
            states = await self.store.hold_states(changed)
            await self._tell_ended([hold for hold, state in states.items() if state not in _OPEN])
        except Exception:  # whatever it was, they are looked at again
            self._dirty |= changed
            raise
        for hold, state in sorted(states.items()):
            if state is HoldState.APPROVED:
                self._approved[hold] = None
                self._has_approved.set()

    async def _tell_ended(self, holds: Sequence[str]) -> None:
        """Tell who waits for these; one that cannot be read is looked at again, and keeps no other back."""
        for name, hold in (await self.store.summaries(holds) if holds else {}).items():
            if isinstance(hold, HoldSummary):
                self._end(hold)
            elif name in self._lines:
                self._dirty.add(name)

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
        failed = [
            hold
            for start in range(0, len(holds), READ_AT_ONCE)
            for hold in await self._pass_on(holds[start : start + READ_AT_ONCE])
        ]
        self._approved.update(dict.fromkeys(failed))
        if not self._approved:
            self._has_approved.clear()
        elif failed:
            await asyncio.sleep(POLL_SECONDS)

    async def _pass_on(self, holds: Sequence[str]) -> Sequence[str]:
        """Tell the first in line of each; those that the store was away for.

        One that cannot be read is asked about again later, and takes no turn from others.
        """
        try:
            found = await self.store.holds_now(holds)
        except Exception as error:  # whatever one hold has, it keeps no other from its turn
            is_away = isinstance(error, AuthzError) and error.code in AWAY
            if is_away:
                return [hold for hold in holds if hold in self._lines]
            if len(holds) == 1:
                if holds[0] in self._lines:
                    self._name(holds[0], error)
                    self._ask_later(holds[0])
                    self.pace.give_back()
                return ()
            return [failed for hold in holds for failed in await self._pass_on([hold])]
        for hold in found.holds.values():
            line = self._lines.get(hold.id)
            if hold.state is HoldState.APPROVED and line:
                if hold.answer is not None or not self._leaves_models:
                    line[0].tell(HoldApproved(hold, found.at))
            elif hold.state is not HoldState.PENDING:
                self._end(hold)
        return ()

    def _ask_later(self, hold: str) -> None:
        """Ask again about one that cannot be read: once, however many join its line or leave it meanwhile."""
        if hold not in self._unread:
            self._unread.add(hold)
            asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._ask_again, hold)

    def _ask_again(self, hold: str) -> None:
        self._unread.discard(hold)
        self.nudge(hold)

    def _name(self, hold: str, error: Exception) -> None:
        """Say once of a hold that nobody can be told of its approval, which is asked for until it is over."""
        self._named &= self._lines.keys()
        if hold not in self._named:
            self._named.add(hold)
            code = error.code if isinstance(error, AuthzError) else type(error).__name__
            log.error("hold.not_passed_on", hold=hold, error=code)

    def _end(self, hold: HoldSummary) -> None:
        loop = asyncio.get_running_loop()
        for watch in list(self._lines.get(hold.id, ())):
            if self._is_user_of(watch, hold):
                continue
            if hold.state is HoldState.KILLED:
                # The order to end comes by another way, and with its reason.
                loop.call_later(KILL_SECONDS, watch.tell, HoldEnded(hold))
            else:
                watch.tell(HoldEnded(hold))

    def _is_user_of(self, watch: Watch, hold: HoldSummary) -> bool:
        """Whoever was told of the approval uses it; they learn from `consume` how that went."""
        return watch.is_told and hold.state is HoldState.RELEASED


@dataclass(slots=True)
class _Seen:
    """How far the changes of holds were read; `cursor` is None before they are first asked for."""

    cursor: int | None = None
    ask_at: float = float("-inf")
    has_more: bool = False
