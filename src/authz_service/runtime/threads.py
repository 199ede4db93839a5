"""Large bodies are read in threads, so that they leave the event loop; only a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")

AT_A_TIME = 2
"""More would only take the interpreter from the event loop."""


@dataclass(slots=True)
class Threads:
    """Turns for work that takes long. Who is cancelled while waiting for one leaves nothing behind.

    Work that has begun keeps its turn until it ends, even if nobody waits for it any more: a thread
    cannot be stopped. Without this, bodies whose senders have left would queue up without a limit.
    """

    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, once a turn is free."""
        await self._turns.acquire()
        running = asyncio.ensure_future(asyncio.to_thread(work))
        running.add_done_callback(self._end)
        return await asyncio.shield(running)

    def _end(self, running: asyncio.Future[Result]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # of work that nobody waited for: it was asked for, and is of no interest
