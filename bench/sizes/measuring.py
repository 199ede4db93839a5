"""What requests and answers of each size take: time, CPU, memory, and turns that others came late to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.case import Gateway
from bench.processes import family, usage
from bench.sizes.asking import Asker
from bench.sizes.bodies import MIB, SMALL, conversation, prompt
from bench.watched import read_late

MARGIN: Final = 64
"""Bytes below a size: the largest is the limit itself."""

AFTERWARDS: Final = 0.3
"""Seconds in which what follows upon an answer is done: its end on record, the search index."""

PAUSE: Final = 0.01

KINDS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "prompt": lambda size: prompt(size - MARGIN),
    "conversation": lambda size: conversation(size - MARGIN),
    "answer": lambda size: prompt(SMALL, answer=size - MARGIN),
}
"""A request in one message, one in turns of 2 KiB, and a small one with a large answer; by their bytes."""


@dataclass(frozen=True, slots=True)
class Sized:
    """Of one kind and size (bytes): seconds, CPU seconds for each, bytes of memory at most above the rest.

    `late` is the longest that the event loop was late, `own` what of that was the service's own doing.
    """

    kind: str
    size: int
    p50: float
    cpu: float
    memory: int
    late: float
    own: float

    @property
    def cpu_per_mib(self) -> float:
        """CPU seconds."""
        return self.cpu / (self.size / MIB)


@dataclass(frozen=True, slots=True)
class Beside:
    """Small requests alone, and beside so many of the largest size: their times in seconds, in order."""

    large: int
    size: int
    alone: Sequence[float]
    beside: Sequence[float]
    seconds: float
    memory: int
    late: float
    own: float


class Watched:
    """The service between two moments."""

    def __init__(self, gateway: Gateway, late: Path) -> None:
        self._pid, self._late = gateway.pids["service"], late
        for member in family(self._pid):
            Path(f"/proc/{member}/clear_refs").write_text("5")  # proc(5): the peak of memory begins anew
        self._began, self._before = time.monotonic(), usage(self._pid)

    def ended(self) -> tuple[float, int, float, float]:
        """CPU seconds, bytes of memory at most above those at the beginning, late, and late by itself."""
        now, turns = usage(self._pid), read_late(self._late, self._began, time.monotonic())
        late, own = max((t.by for t in turns), default=0.0), max((t.own for t in turns), default=0.0)
        return (
            now.cpu_seconds - self._before.cpu_seconds,
            max(0, now.peak_rss - self._before.rss),
            late,
            own,
        )


async def curve(gateway: Gateway, late: Path, sizes: Sequence[int], times: int) -> AsyncIterator[Sized]:
    """Each kind at each size (bytes), one request after another; raises `NotAnswered`."""
    asker = Asker(gateway.port, gateway.token)
    await asker.one_after_another(prompt(SMALL), 20)
    for kind, body_of in KINDS.items():
        for size in sizes:
            body = body_of(size)
            watched = Watched(gateway, late)
            taken = await asker.one_after_another(body, times)
            await asyncio.sleep(AFTERWARDS)
            cpu, memory, by, own = watched.ended()
            yield Sized(kind, size, taken[len(taken) // 2], cpu / times, memory, by, own)


async def beside(gateway: Gateway, late: Path, size: int, large: int, alone: int) -> Beside:
    """Small requests, `alone` of them first, then as many as there is time for while large ones are read."""
    asker = Asker(gateway.port, gateway.token)
    small, body = prompt(SMALL), prompt(size - MARGIN)
    before = await asker.one_after_another(small, alone)
    watched, began = Watched(gateway, late), time.perf_counter()
    busy = asyncio.gather(*(asker.ask(body) for _ in range(large)))
    taken = [await asker.ask(small)]
    while not busy.done():
        await asyncio.sleep(PAUSE)
        taken.append(await asker.ask(small))
    await busy
    seconds = time.perf_counter() - began
    _, memory, by, own = watched.ended()
    return Beside(large, size, before, sorted(taken), seconds, memory, by, own)
