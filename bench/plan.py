"""What is measured: the cases, the loads that each of them gets, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Case(StrEnum):
    """What stands between the load and the model."""

    DIRECT = "direct"
    FLOOR = "floor"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"

    @property
    def is_ours(self) -> bool:
        """Whether the real service runs, which masks and records."""
        return self in (Case.SQLITE, Case.POSTGRESQL)


TITLES = {
    Case.DIRECT: "Envoy alone",
    Case.FLOOR: "Envoy, no-op service",
    Case.SQLITE: "this service, SQLite",
    Case.POSTGRESQL: "this service, PostgreSQL",
}


class Shape(StrEnum):
    """How the model answers. The value is the name of the model that does so."""

    WHOLE = "whole"
    STREAMED = "streamed"
    PACED = "paced"


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
    """Each round gives every load to every case in turn. `warm_up` and `seconds` are those of one turn."""

    cases: tuple[Case, ...]
    loads: tuple[Load, ...] = LOADS
    rounds: int = 4
    warm_up: float = 0.4
    seconds: float = 1.5

    def __post_init__(self) -> None:
        if not self.cases or not self.loads or self.rounds < 1 or self.seconds <= 0 or self.warm_up < 0:
            raise ValueError("a plan has a case, a load, a round and some time")
