"""Work that takes long leaves the event loop, in lines that are fair: those who wait take turns by caller."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from authz_service.errors import TooMany

Result = TypeVar("Result")

AT_A_TIME = 1
"""In each line. More would only take the interpreter from the event loop: with two small requests
beside ten of 8 MiB took twice as long, and these hardly less (docs/decisions/0008)."""

LARGE = 512 * 1024
"""Bytes above which a body waits in the line of the large ones: a prompt of 100,000 tokens is none."""

LARGE_FOR_PRESIDIO = 32 * 1024
"""The same where Presidio reads it, which takes a hundred times as long."""

MOST_WAITING: Final = 128
"""New requests of one caller that may wait in one line."""

_NOBODY = ""

NOT_MARKED: Final = nullcontext()
"""Where nobody else is to know when the work is under way."""


class Line:
    """Turns, `AT_A_TIME` at a time. Whoever has waited longest since a turn of their own is next."""

    def __init__(self) -> None:
        self._taken = 0
        self._last: Hashable = None
        """Whose turn was the last."""
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def turn(self, caller: Hashable, *, most: int | None) -> None:
        """Wait for a turn; raises `TooMany` where `most` of the caller's wait already.

        Who is cancelled while waiting leaves nothing behind.
        """
        if self._taken < AT_A_TIME:  # nobody waits then
            self._taken += 1
            self._last = caller
            return
        mine = self._waiting.setdefault(caller, deque())
        if most is not None and len(mine) >= most:
            message = f"{most} requests of yours wait to be read, which is the limit; send fewer at a time."
            raise TooMany(message, code="too_many_waiting")
        turn = asyncio.get_running_loop().create_future()
        mine.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free()
            else:
                self._leave(caller, turn)
            raise

    def free(self) -> None:
        """A turn is over: the next in line has it."""
        while self._waiting:
            caller = self._next()
            mine = self._waiting.pop(caller)
            turn = mine.popleft()
            if mine:
                self._waiting[caller] = mine  # behind all others
            if not turn.done():
                self._last = caller
                turn.set_result(None)
                return
        self._taken -= 1

    def _next(self) -> Hashable:
        first = next(iter(self._waiting))
        if first == self._last:
            self._waiting[first] = self._waiting.pop(first)
        return next(iter(self._waiting))

    def _leave(self, caller: Hashable, turn: asyncio.Future[None]) -> None:
        mine = self._waiting.get(caller)
        if mine is None or turn not in mine:  # it was passed over
            return
        mine.remove(turn)
        if not mine:
            del self._waiting[caller]


@dataclass(slots=True)
class Threads:
    """Lines for quick work, for large bodies, and for both where Presidio reads: none waits for another.

    Work that has begun keeps its turn until it ends, even if nobody waits for it any more: a thread
    cannot be stopped. Without this, bodies whose senders have left would queue up without a limit.
    """

    _lines: dict[tuple[bool, bool], Line] = field(default_factory=dict)

    async def run(
        self,
        work: Callable[[], Result],
        *,
        size: int = 0,
        caller: Hashable = _NOBODY,
        by_presidio: bool = False,
        most: int | None = None,
        within: AbstractContextManager[None] = NOT_MARKED,
    ) -> Result:
        """What `work` on so many bytes returns or raises, once it is the caller's turn.

        `within` is entered then, not before.
        Raises `TooMany` where `most` of the caller's wait in its line.
        """
        is_large = size > (LARGE_FOR_PRESIDIO if by_presidio else LARGE)
        line = self._lines.setdefault((by_presidio, is_large), Line())
        await line.turn(caller, most=most)
        with within:
            running = asyncio.ensure_future(asyncio.to_thread(work))
            running.add_done_callback(partial(_end, line))
            return await asyncio.shield(running)


def _end(line: Line, running: asyncio.Future[Result]) -> None:
    line.free()
    if not running.cancelled():
        running.exception()  # of work that nobody waited for: it was asked for, and is of no interest
