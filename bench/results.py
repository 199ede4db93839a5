"""What many turns come to: medians over the rounds, and ratios between cases of the same round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.plan import Case, Load
from bench.turn import Measured

Turns = Mapping[tuple[Load, Case], Sequence[Measured]]
"""Each case's turns under each load, one for each round, in order."""

Figure = Callable[[Measured], float]


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds: milliseconds, and microseconds of CPU for each request (None: no such
    program)."""

    load: Load
    case: Case
    per_second: float
    p50: float
    p99: float
    first_event: float
    first_text: float
    envoy_cpu: float
    service_cpu: float | None


def rows(turns: Turns) -> list[Row]:
    """One for each load and case, in the order in which they were measured."""
    return [_row(load, case, measured) for (load, case), measured in turns.items()]


def ratio(turns: Turns, load: Load, case: Case, base: Case, figure: Figure) -> float | None:
    """The median over the rounds of `case` divided by `base`; None where one was not measured."""
    pairs = _pairs(turns, load, case, base)
    return median(figure(a) / figure(b) for a, b in pairs) if pairs else None


def added(turns: Turns, load: Load, case: Case, base: Case, figure: Figure) -> float | None:
    """The median over the rounds of `case` minus `base`, in milliseconds; None as above."""
    pairs = _pairs(turns, load, case, base)
    return 1e3 * median(figure(a) - figure(b) for a, b in pairs) if pairs else None


def wrong(turns: Turns) -> int:
    """How many answers were not what they should be."""
    return sum(m.wrong for measured in turns.values() for m in measured)


def _pairs(turns: Turns, load: Load, case: Case, base: Case) -> list[tuple[Measured, Measured]]:
    return list(zip(turns.get((load, case), ()), turns.get((load, base), ()), strict=False))


def _row(load: Load, case: Case, measured: Sequence[Measured]) -> Row:
    def middle(figure: Figure) -> float:
        return median(figure(m) for m in measured)

    has_service = "service" in measured[0].cpu
    return Row(
        load=load,
        case=case,
        per_second=middle(lambda m: m.per_second),
        p50=1e3 * middle(lambda m: m.p50),
        p99=1e3 * middle(lambda m: m.p99),
        first_event=1e3 * middle(lambda m: m.first_event),
        first_text=1e3 * middle(lambda m: m.first_text),
        envoy_cpu=1e6 * middle(lambda m: m.cpu["envoy"]),
        service_cpu=1e6 * middle(lambda m: m.cpu["service"]) if has_service else None,
    )
