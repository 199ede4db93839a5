"""One turn of a case: what the load is told, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.plan import Shape


@dataclass(frozen=True, slots=True)
class Job:
    """One turn. `pids` are the programs to account for, `parts` processes of the service to account for by
    themselves too; with `is_masked` no address or card may cross.
    """

    port: int
    token: str
    shape: Shape
    connections: int
    warm_up: float
    seconds: float
    is_masked: bool
    has_instructions: bool
    pids: Mapping[str, int]
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a turn: times in seconds, `cpu` for each answer, `rss` and `peak_rss` in bytes.

    `requests` were answered with 200 and to the end. Of all answers `seen`, those of the warm-up among them,
    `wrong` had a fault, counted by its name in `faults`. `first_event` and `first_text` are when a streamed
    answer's first event, and its first event with a word in it, had arrived (for a whole answer: its first
    byte). The three of `between` are quantiles of the time from one arrival of text to the next in a paced
    answer, else 0. `cpu`, `rss` and `peak_rss` have the service as one, and each of its processes where there
    are several. `peak_rss` is since a program began. `instructions` are for each answer, in user space;
    empty where they were not counted.
    """

    requests: int
    seen: int
    wrong: int
    seconds: float
    p50: float
    p99: float
    first_event: float
    first_text: float
    between_p50: float
    between_p95: float
    between_p99: float
    cpu: Mapping[str, float]
    rss: Mapping[str, int]
    peak_rss: Mapping[str, int]
    instructions: Mapping[str, float]
    faults: Mapping[str, int]

    @property
    def per_second(self) -> float:
        """Requests that were answered."""
        return self.requests / self.seconds

    @property
    def gateway_cpu(self) -> float:
        """Of Envoy, the service and its database together, for each answer."""
        return sum(self.cpu.get(name, 0.0) for name in GATEWAY)

    @property
    def gateway_instructions(self) -> float:
        """Of the same."""
        return sum(self.instructions.get(name, 0.0) for name in GATEWAY)


GATEWAY = ("envoy", "service", "database")
"""The programs that a case consists of; the model server and the load are beside it."""
