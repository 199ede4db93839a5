"""Has requests held, and says which of what could go wrong did."""

from __future__ import annotations

import asyncio
import time

from bench.holds.crowd import Crowd
from bench.holds.reviewing import Reviewer

from authz_api.v1 import holds_pb2 as pb


async def all_pending(crowd: Crowd, person: Reviewer, count: int, *, ended: int = 0) -> list[pb.Hold]:
    """When `count` pend, or have ended beside those `ended` before."""
    deadline, held = time.perf_counter() + 60 + count / 50, await person.pending()
    while len(held) + crowd.ended - ended < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.5)
        held = await person.pending()
    return held


async def held_alone(crowd: Crowd, person: Reviewer, number: int, *, ended: int) -> pb.Hold | str:
    """The hold of a request that is sent while none waits and `ended` have; else why there is none."""
    await crowd.send([number])
    held = await all_pending(crowd, person, 1, ended=ended)
    if len(held) == 1:
        return held[0]
    return f"{len(held)} were held where one was sent: {dict(crowd.faults)}"


async def held_beside(crowd: Crowd, person: Reviewer, first: int, count: int) -> pb.Hold | str:
    """A hold shown beside earlier ones, of a caller of whom `count` were let through; else why not."""
    await crowd.send(range(first, first + count))
    await person.approve_all(await all_pending(crowd, person, count))
    deadline = time.perf_counter() + 60
    while crowd.ended < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.05)
    if len(crowd.answered) < count:
        missing = count - len(crowd.answered)
        return f"{missing} of the caller's {count} earlier ones never went out: {dict(crowd.faults)}"
    hold = await held_alone(crowd, person, first + count, ended=count)
    if isinstance(hold, str):
        return f"after {count} earlier ones {hold}"
    if not (await person.shown(hold.id)).context.earlier:
        return f"a hold is shown beside none of its caller's {count} earlier ones"
    return hold
