"""The window of a turn: what the programs take from its beginning to its end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from bench.instructions import Counter, counters
from bench.processes import Usage, cpu_seconds, usage


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds, bytes and user-space instructions, by program. The load is one of them, `load`."""

    seconds: float
    cpu: Mapping[str, float]
    rss: Mapping[str, int]
    peak_rss: Mapping[str, int]
    instructions: Mapping[str, int]


class Window:
    """Opened once and closed once."""

    def __init__(
        self, pids: Mapping[str, int], parts: Mapping[str, int], counted: Mapping[str, Counter]
    ) -> None:
        self._pids = {**pids, **parts}
        self._counted = counted
        self._before: Mapping[str, Usage] = {}
        self._began = 0.0

    @property
    def seconds(self) -> float:
        """Since it was opened."""
        return time.perf_counter() - self._began

    def open(self) -> None:
        """What the programs do from here on counts."""
        for counter in self._counted.values():
            counter.start()
        self._before, self._began = self._usages(), time.perf_counter()

    def close(self) -> Taken:
        """What they took; raises `NotCounted`."""
        after, seconds = self._usages(), self.seconds
        instructions = {name: counter.stop() for name, counter in self._counted.items()}
        return Taken(
            seconds=seconds,
            cpu={name: after[name].cpu_seconds - was.cpu_seconds for name, was in self._before.items()},
            rss={name: taken.rss for name, taken in after.items()},
            peak_rss={name: taken.peak_rss for name, taken in after.items()},
            instructions=instructions,
        )

    def _usages(self) -> Mapping[str, Usage]:
        # Each process is read once, for itself and for the service that it is a part of: so they add up.
        cpu = cache(cpu_seconds)
        # The load's children count for others, and are none of its own.
        programs = {name: usage(pid, cpu=cpu) for name, pid in self._pids.items()}
        return {**programs, "load": usage(os.getpid(), has_family=False)}


@contextmanager
def window(pids: Mapping[str, int], parts: Mapping[str, int], *, has_instructions: bool) -> Iterator[Window]:
    """Not open yet; instructions are those of `pids` alone.

    Raises `NotCounted` when they are asked for and cannot be counted.
    """
    with counters(pids if has_instructions else {}) as counted:
        yield Window(pids, parts, counted)
