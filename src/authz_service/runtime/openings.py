"""Turns to ask the store for a hold: so many at a time, and none for those behind one that finds it away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authz_service.errors import Unavailable
from authz_service.runtime.waiting import AWAY


class Openings:
    """Lets `at_once` in at a time, the others in the order in which they came.

    What is asked of the store has its patience, and who waits here has none: behind a store that hangs, the
    last of thousands would hear of it after minutes. So the first one who is told that it is away takes all
    who wait with it. Who comes after that asks again, and finds a store that is back.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Within this the store is asked; raises `Unavailable` where one who was before found it away."""
        await self._begin()
        try:
            yield
        except Unavailable as error:
            if error.code in AWAY:
                self._refuse_all(error)
            raise
        finally:
            self._end()

    async def _begin(self) -> None:
        if self._free:  # nobody waits then
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end()
            raise

    def _end(self) -> None:
        """The next in line has the turn; one that was cancelled is passed over."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _refuse_all(self, error: Unavailable) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Unavailable(str(error), code=error.code))
