"""Large bodies are read in threads, so that they leave the event loop; only one or two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")

AT_A_TIME = 1
"""In each of two lines. More would only take the interpreter from the event loop: with two small requests
beside ten of 8 MiB took twice as long, and these hardly less (docs/decisions/0008)."""

LARGE = 512 * 1024
"""Bytes above which a body waits in the line of the large ones: a prompt of 100,000 tokens is none."""


@dataclass(slots=True)
class Threads:
    """Turns for work that takes long. Who is cancelled while waiting for one leaves nothing behind.

    Work that has begun keeps its turn until it ends, even if nobody waits for it any more: a thread
    cannot be stopped. Without this, bodies whose senders have left would queue up without a limit.
    """

    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    _large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))

    async def run(self, work: Callable[[], Result], *, size: int = 0) -> Result:
        """What `work` on so many bytes returns or raises, once a turn is free."""
        turns = self._large if size > LARGE else self._turns
        await turns.acquire()
        running = asyncio.ensure_future(asyncio.to_thread(work))
        running.add_done_callback(partial(self._end, turns))
        return await asyncio.shield(running)

    def _end(self, turns: asyncio.Semaphore, running: asyncio.Future[Result]) -> None:
        turns.release()
        if not running.cancelled():
            running.exception()  # of work that nobody waited for: it was asked for, and is of no interest
