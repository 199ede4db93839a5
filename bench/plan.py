"""What is measured: the loads that each case gets, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bench.case import Case
from bench.micro.figure import Micro


class Shape(StrEnum):
    """How the model answers. The value is the name of the model that does so."""

    WHOLE = "whole"
    LARGE = "large"
    STREAMED = "streamed"
    PACED = "paced"

    @property
    def is_stream(self) -> bool:
        """Whether the answer comes as events."""
        return self in (Shape.STREAMED, Shape.PACED)


@dataclass(frozen=True, slots=True)
class Load:
    """As many requests at a time, each sent when the one before it on its connection is answered."""

    shape: Shape
    connections: int

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return f"{self.shape}-{self.connections}"

    @property
    def title(self) -> str:
        """Its name for readers."""
        at_a_time = "one at a time" if self.connections == 1 else f"{self.connections} at a time"
        return f"{self.shape}, {at_a_time}"


MANY = 16
LOADS = tuple(Load(shape, connections) for shape in Shape for connections in (1, MANY))


@dataclass(frozen=True, slots=True)
class Plan:
    """Each round gives every load to every case in turn. `warm_up` and `seconds` are those of one turn.

    Then come the micro-benches, by name, with as many seconds for each figure. `has_instructions` has them
    counted, which needs `perf` and a second turn for each.
    """

    cases: tuple[Case, ...] = ()
    loads: tuple[Load, ...] = LOADS
    micro: Mapping[str, Micro] = field(default_factory=dict)
    rounds: int = 4
    warm_up: float = 0.4
    seconds: float = 2.0
    has_instructions: bool = False

    def __post_init__(self) -> None:
        if not (self.cases or self.micro) or not self.loads:
            raise ValueError("a plan has a case with a load, or a micro-bench")
        if self.rounds < 1 or self.seconds <= 0 or self.warm_up < 0:
            raise ValueError("a plan has a round and some time")
        if len({case.name for case in self.cases}) != len(self.cases):
            raise ValueError("each case of a plan has a name of its own")
