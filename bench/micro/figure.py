"""A micro-bench: a function that measures one part of the service by itself, without Envoy, and names what
it found.

It is given a `Room` and yields `Figure`s; `bench.micro.suite` lists all of them by name. CPU time is what to
measure where the work is CPU: it hardly depends on what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_BATCHES = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in words, and how much of which unit."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Room:
    """What a micro-bench may take: about so many seconds for each figure, and an empty folder of its own."""

    seconds: float
    folder: Path


Micro = Callable[[Room], Iterable[Figure]]


def commit_alone(database: str, part: int) -> str:
    """The name of the figure that says how long a commit takes which nothing waits beside: p50, or p99."""
    return f"{database}, a commit alone: p{part}"


def cpu_seconds_each(work: Callable[[], object], *, seconds: float) -> float:
    """The CPU time of one call, the least of several batches that take `seconds` together."""
    calls = _calls_in(work, seconds / _BATCHES)
    return min(_batch(work, calls) for _ in range(_BATCHES)) / calls


def _calls_in(work: Callable[[], object], seconds: float) -> int:
    """How many calls fit, found by doubling; what it takes to find out warms up as well."""
    calls = 1
    while (taken := _batch(work, calls)) < seconds / 2:
        calls *= 2
    return max(1, int(calls * seconds / taken)) if taken else calls


def _batch(work: Callable[[], object], calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - began
