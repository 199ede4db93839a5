"""One turn of a case: what the load is told, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.plan import Shape


@dataclass(frozen=True, slots=True)
class Job:
    """One turn. `pids` are the programs to account for; with `is_masked` no address may cross."""

    port: int
    token: str
    shape: Shape
    connections: int
    warm_up: float
    seconds: float
    is_masked: bool
    pids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a turn: times in seconds, `cpu` for each request. `wrong` answers count as no answer.

    `first_event` and `first_text` are when a streamed answer's first event, and its first event with a
    word in it, had arrived (for a whole answer: its first byte).
    """

    requests: int
    wrong: int
    seconds: float
    p50: float
    p99: float
    first_event: float
    first_text: float
    cpu: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Requests that were answered as they should."""
        return self.requests / self.seconds
