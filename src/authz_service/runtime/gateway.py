"""What all exchanges of a process share."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from authz_service.config.model import Config
from authz_service.core.durations import Durations
from authz_service.core.events import Killed, ServiceStopped
from authz_service.core.limits import CountedBy
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldLimits
from authz_service.core.usage import UsageStore
from authz_service.errors import TooMany, Unavailable
from authz_service.keys.seal import Sealed, Sealer
from authz_service.runtime.marks import Doing, Judging, Marks
from authz_service.runtime.openings import Openings
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import NOT_MARKED, Threads
from authz_service.runtime.waiting import Waiting
from authz_service.view.caller import Caller

LARGEST_BUFFER = 512 * 1024 * 1024
"""Bytes of bodies that a process keeps at a time; above it new requests get 503.

Of these one caller may have as much as is free besides: half of it alone, a third beside another who does the
same. So there is always room for who comes next, however many send without an end.
"""

OPENED_AT_ONCE = 128
"""Holds of a process that the store is asked to open at a time: of a burst of thousands the others wait here,
or the last of them would have waited longer than the store may take. At 2 ms each these are a twentieth of
that time; with 512 some were refused on a slow machine (docs/decisions/0008)."""


JUST_CHECKED = 5.0
"""For so many seconds what another worker has sealed is taken for a request that comes for the first time."""


class Ending(Enum):
    """Who is asked next, when this process ends."""

    NEXT = "next"
    """The process that is started in its place: Envoy asks again until it is there."""
    OTHERS = "others"
    """Other processes, which Envoy is told to ask before this one takes no more."""
    NOBODY = "nobody"
    """Envoy ends too: callers are told to come again."""


async def _nothing_withdrawn(_caller: Caller) -> None:
    """Where callers' tokens cannot be withdrawn."""


@dataclass(slots=True)
class Took:
    """What this process added to exchanges, without what people, callers and models took.

    `decide` is the part of `request` until the rules have said something. Answers are timed at both ends:
    an observation for each piece of a stream would cost as much as it tells.
    """

    check: Durations = field(default_factory=Durations)
    decide: Durations = field(default_factory=Durations)
    request: Durations = field(default_factory=Durations)
    answer_start: Durations = field(default_factory=Durations)
    answer_end: Durations = field(default_factory=Durations)


@dataclass(slots=True)
class Gateway:
    """The store, the rules in force, and who is alive. `rules` is replaced as a whole by a reload.

    `recheck` raises `Unauthenticated` for a caller whose token has been withdrawn since it was verified.
    """

    store: Store
    rules: Rules
    sealer: Sealer
    pseudonym: Callable[[tuple[str, str]], str]
    waiting: Waiting
    recorder: Recorder
    usage: UsageStore
    recheck: Callable[[Caller], Awaitable[None]] = _nothing_withdrawn
    marks: Marks | None = None
    """Where there are several workers: what each has in hand."""
    clock: Callable[[], float] = time.time
    started_at: float = field(default_factory=time.time)
    in_order_since: float = math.inf
    """Since when every process that served alone here ended in order; infinite where nobody knows."""
    live: set[str] = field(default_factory=set)
    running: dict[str, Callable[[Killed | ServiceStopped], None]] = field(default_factory=dict)
    """By session: ends the exchange."""
    decisions: Counter[str] = field(default_factory=Counter)
    """Requests by what was first decided of them: an effect, or `refused` where the rules were not asked."""
    masked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By side (`request`, `answer`) and entity type: values that were masked."""
    took: Took = field(default_factory=Took)
    limited: Counter[tuple[CountedBy, str]] = field(default_factory=Counter)
    """Requests that a limit refused, by whose it is and which."""
    buffered: int = 0
    buffered_by: dict[tuple[str, str], int] = field(default_factory=dict)
    """The same by caller, of those who have any."""
    may_decide: bool = True
    """Not while new rules wait for the record; see `Service.reload`."""
    is_stopping: bool = False
    ending: Ending = Ending.NEXT
    reading: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """By exchange: who waits for the rest of a request's body."""
    usage_asked: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One caller at a time asks what they used: it may read many sessions, and whoever wants may ask."""
    usage_asking: set[str] = field(default_factory=set)
    """The pseudonyms of those who ask that, or wait to: each once."""
    openings: Openings = field(default_factory=lambda: Openings(OPENED_AT_ONCE))
    request_threads: Threads = field(default_factory=Threads)
    answer_threads: Threads = field(default_factory=Threads)

    @property
    def hold_limits(self) -> HoldLimits:
        """The limits of holds by the configuration in force."""
        return limits_of(self.rules.config)

    @property
    def is_leaving(self) -> bool:
        """Whether this process stops, and another one, or the next, is asked about what comes."""
        return self.is_stopping and self.ending is not Ending.NOBODY

    def takes(self, sealed: Sealed) -> bool:
        """Whether a stream may begin here; else Envoy is to ask again.

        What this process has checked before it began to stop for the next one is on its way to it then, and
        a large body could not be sent again. So is what another worker has just checked, since all stop
        together; what one of them let go comes later, and is for the next.
        """
        if not self.is_leaving:
            return True
        is_first = sealed.is_of_this_run or (
            self.marks is not None and self.clock() - sealed.at < JUST_CHECKED
        )
        return is_first and self.ending is Ending.NEXT and not self.waiting.is_stopping

    def count_masked(self, side: str, masked: Mapping[str, int]) -> None:
        """Count the values that were masked on this side, by entity type."""
        for entity, number in masked.items():
            self.masked[side, entity] += number

    def require_rules(self) -> None:
        """Raise `Unavailable` while nothing may be decided."""
        if not self.may_decide:
            message = "The gateway cannot put its new rules on record yet; send the request again."
            raise Unavailable(message, code="rules_pending")

    def mark(self, session: str, doing: Doing) -> None:
        """Let the other workers know what this one does for an exchange, where there are any."""
        if self.marks is not None:
            self.marks.now(session, doing)

    def judging(self, session: str) -> AbstractContextManager[None]:
        """Within this an exchange is being judged here, for the other workers, where there are any."""
        return NOT_MARKED if self.marks is None else Judging(self.marks, session)


def limits_of(config: Config) -> HoldLimits:
    """The limits of holds by a configuration."""
    holds = config.holds
    return HoldLimits(
        pending_per_caller=holds.pending_per_caller, use_within=holds.use_within, claim=holds.claim
    )


@dataclass(slots=True)
class Reservation:
    """An account of the bytes that one exchange of a caller keeps in memory.

    One that `has_place` was admitted before, and is refused for no share.
    """

    gateway: Gateway
    caller: tuple[str, str]
    size: int = 0
    has_place: bool = False

    def add(self, size: int) -> None:
        """Account for more bytes of the request; raises as `keep`, and `TooMany` above the caller's share.

        What is the caller's only body is in nobody's way but by its size, which is limited.
        """
        self.keep(size)
        theirs = self.gateway.buffered_by[self.caller]
        is_above = theirs > LARGEST_BUFFER - self.gateway.buffered
        if is_above and theirs > self.size and not self.has_place:
            message = "Requests of yours fill the room that one caller may have here; send fewer at a time."
            raise TooMany(message, code="too_many_bodies")

    def keep(self, size: int) -> None:
        """Account for more bytes, or fewer; raises `Unavailable` above the budget of the process.

        For an answer: the model has done its work, so the caller's next request is refused, and not this.
        """
        self.size += size
        self.gateway.buffered += size
        by = self.gateway.buffered_by
        by[self.caller] = by.get(self.caller, 0) + size
        if size > 0 and self.gateway.buffered > LARGEST_BUFFER:
            raise Unavailable("The gateway holds as much as it can; try again later.", code="overloaded")

    def give_back(self) -> None:
        """The exchange has ended."""
        if self.size:
            self.keep(-self.size)
        if not self.gateway.buffered_by.get(self.caller, 1):
            del self.gateway.buffered_by[self.caller]
