"""Waits on an event loop that end in time: one timer for all of them, since each by itself costs more."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

from authz_service.store.faults import unavailable


class Wait(NamedTuple):
    """A future that is over at `give_up_at` (by `time.monotonic`), settled or not."""

    future: asyncio.Future[Any]
    give_up_at: float

    def is_wanted(self) -> bool:
        """Whether somebody still waits; true or false in any thread."""
        return not self.future.done() and time.monotonic() < self.give_up_at


class Waits:
    """The waits of one event loop, each `patience` seconds long; used in its thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, patience: float) -> None:
        self.loop = loop
        self._patience = patience
        self._waits: deque[Wait] = deque()  # all are as long, so the first is the first to end
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Wait:
        """A new wait; if nobody settles its future in time, that raises `Unavailable`."""
        wait = Wait(self.loop.create_future(), time.monotonic() + self._patience)
        self._waits.append(wait)
        if self._timer is None:
            self._timer = self.loop.call_later(self._patience, self._end_overdue)
        return wait

    def forget_settled(self) -> None:
        """Let go of waits that are over, up to the first that is not."""
        while self._waits and self._waits[0].future.done():
            self._waits.popleft()

    def _end_overdue(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._waits and (self._waits[0].give_up_at <= now or self._waits[0].future.done()):
            future = self._waits.popleft().future
            if not future.done():
                future.set_exception(unavailable())
        if self._waits:
            self._timer = self.loop.call_later(self._waits[0].give_up_at - now, self._end_overdue)
