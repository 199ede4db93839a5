"""How a process stops answering: who is let go, who is waited for, and who is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from authz_service.core.events import ServiceStopped
from authz_service.runtime.gateway import Ending, Gateway

POLL_SECONDS = 0.05
SETTLE_SECONDS = 0.3
"""What requests that were checked just before a stop get to come on: a large one could not be sent again."""
LET_GO_SECONDS = 5.0
"""What those who wait for people get to leave; ten thousand need less than two."""
ANSWER_SECONDS = 60.0
"""What a model gets at least to answer what is approved during a drain; with less left none is asked."""
CUT_SECONDS = 2.0
"""What exchanges that a drain has ended get to record that and tell their callers."""


async def drain(gateway: Gateway, *, seconds: float) -> None:
    """Take no new exchange, let go who waits for people, and give the others `seconds` to end.

    Those that have not ended then are ended, and their callers told so, also who is still sending.

    Where only the process that is started in its place can take them up, those who wait are let go last:
    Envoy asks about them for half a minute, and a stream may keep this process from ending for as long.
    Until then a decision reaches them here, but for an approval that comes too late for the model to answer.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    gateway.is_stopping = True
    if gateway.ending is Ending.NEXT:
        if seconds < ANSWER_SECONDS + SETTLE_SECONDS:
            gateway.waiting.leave_models()
        await asyncio.sleep(min(SETTLE_SECONDS, seconds))
        await _until(lambda: _only_waits(gateway), deadline - ANSWER_SECONDS)
        gateway.waiting.leave_models()
        await _until(lambda: _only_waits(gateway), deadline)
    gateway.waiting.stop()
    if gateway.ending is Ending.NEXT:
        # Whoever is still there when the others are ended would be told to come again.
        await _until(lambda: not gateway.waiting.total, _later(deadline, LET_GO_SECONDS))
    await _until(lambda: not gateway.live, deadline)
    if gateway.live:
        for end in tuple(gateway.running.values()):
            end(ServiceStopped())
        while gateway.reading:
            gateway.reading.popitem()[1].cancel()
        await _until(lambda: not gateway.live, _later(deadline, CUT_SECONDS))


def _only_waits(gateway: Gateway) -> bool:
    """Whether no worker of this machine, which all stop together, has anything else in hand."""
    is_idle = len(gateway.live) <= gateway.waiting.untold
    return is_idle and (gateway.marks is None or not gateway.marks.others_are_busy())


def _later(deadline: float, seconds: float) -> float:
    return max(deadline, asyncio.get_running_loop().time() + seconds)


async def _until(is_so: Callable[[], bool], deadline: float) -> None:
    """Return at once, when it is so, or at `deadline` in the loop's time."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            while not is_so():  # noqa: ASYNC110 - an event would cost every exchange, for the last
                await asyncio.sleep(POLL_SECONDS)
