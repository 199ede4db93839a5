"""What this service should reach, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan import MANY, Case, Load, Shape
from bench.results import Turns, added, ratio
from bench.turn import Measured

LEAST_THROUGHPUT = 0.6
"""Of the floor's: what any Python service behind Envoy does that looks at nothing."""

MOST_ADDED = 4.0
"""Milliseconds that a request may take longer than through Envoy alone, at the median, one at a time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim, in words, with what was measured."""

    case: Case
    aim: str
    reached: str
    is_met: bool


def verdicts(turns: Turns) -> list[Verdict]:
    """Every aim that this run can say something about."""
    ours = [case for case in Case if case.is_ours]
    found = [_throughput(turns, case, shape) for case in ours for shape in (Shape.WHOLE, Shape.STREAMED)]
    found += [_added(turns, case, shape) for case in ours for shape in (Shape.WHOLE, Shape.STREAMED)]
    found += [_first_token(turns, case) for case in ours]
    return [verdict for verdict in found if verdict is not None]


def _throughput(turns: Turns, case: Case, shape: Shape) -> Verdict | None:
    load = Load(shape, MANY)
    reached = ratio(turns, load, case, Case.FLOOR, lambda m: m.per_second)
    if reached is None:
        return None
    aim = f"{load.title}: at least {LEAST_THROUGHPUT:.0%} of the floor's requests/s"
    return Verdict(case, aim, f"{reached:.0%}", reached >= LEAST_THROUGHPUT)


def _added(turns: Turns, case: Case, shape: Shape) -> Verdict | None:
    load = Load(shape, 1)
    reached = added(turns, load, case, Case.DIRECT, lambda m: m.p50)
    return _time(case, f"{load.title}: under {MOST_ADDED:g} ms added to an answer at the median", reached)


def _first_token(turns: Turns, case: Case) -> Verdict | None:
    load = Load(Shape.PACED, 1)
    reached = added(turns, load, case, Case.DIRECT, _first_event)
    return _time(case, f"{load.title}: under {MOST_ADDED:g} ms added to the first token's event", reached)


def _time(case: Case, aim: str, reached: float | None) -> Verdict | None:
    return None if reached is None else Verdict(case, aim, f"{reached:.2f} ms", reached < MOST_ADDED)


def _first_event(measured: Measured) -> float:
    return measured.first_event
