"""What many turns come to: medians over the rounds, and ratios between cases of the same round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.case import Case
from bench.plan import Load
from bench.traffic import EVENTS
from bench.turn import Measured

Turns = Mapping[tuple[Load, Case], Sequence[Measured]]
"""Each case's turns under each load, one for each round, in order; none is empty."""

Figure = Callable[[Measured], float]


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds: milliseconds; microseconds of CPU and thousands of instructions for an answer,
    and MiB, by program.

    `events_per_second` are the model's events that were answered with (None: no stream); `wrong` is the
    part of all answers that had a fault.
    """

    load: Load
    case: Case
    per_second: float
    events_per_second: float | None
    p50: float
    p99: float
    first_event: float
    first_text: float
    between_p50: float
    between_p95: float
    between_p99: float
    cpu: Mapping[str, float]
    gateway_cpu: float
    rss: Mapping[str, float]
    peak_rss: Mapping[str, float]
    instructions: Mapping[str, float]
    wrong: float
    faults: Mapping[str, int]


def rows(turns: Turns) -> list[Row]:
    """One for each load and case, in the order in which they were measured."""
    return [_row(load, case, measured) for (load, case), measured in turns.items()]


def ratio(turns: Turns, load: Load, case: Case, base: Case, figure: Figure) -> float | None:
    """The median over the rounds of `case` divided by `base`; None where one was not measured."""
    pairs = _pairs(turns, load, case, base)
    found = [figure(a) / figure(b) for a, b in pairs if figure(b)]
    return median(found) if found else None


def added(turns: Turns, load: Load, case: Case, base: Case, figure: Figure) -> float | None:
    """The median over the rounds of `case` minus `base`, in milliseconds; None as above."""
    pairs = _pairs(turns, load, case, base)
    return 1e3 * median(figure(a) - figure(b) for a, b in pairs) if pairs else None


def wrong(turns: Turns, case: Case) -> int:
    """How many answers of this case were not what they should be."""
    return sum(m.wrong for (_, whose), measured in turns.items() if whose == case for m in measured)


def _pairs(turns: Turns, load: Load, case: Case, base: Case) -> list[tuple[Measured, Measured]]:
    # A peer that failed has fewer rounds than the others: those that it has are the first ones.
    return list(zip(turns.get((load, case), ()), turns.get((load, base), ()), strict=False))


def _row(load: Load, case: Case, measured: Sequence[Measured]) -> Row:
    def middle(figure: Figure) -> float:
        return median(figure(m) for m in measured)

    def of_programs(figure: Callable[[Measured], Mapping[str, float]], scale: float) -> dict[str, float]:
        return {name: scale * median(figure(m)[name] for m in measured) for name in figure(measured[0])}

    per_second = middle(lambda m: m.per_second)
    faults: Counter[str] = Counter()
    for turn in measured:
        faults.update(turn.faults)
    return Row(
        load=load,
        case=case,
        per_second=per_second,
        events_per_second=per_second * EVENTS if load.shape.is_stream else None,
        p50=1e3 * middle(lambda m: m.p50),
        p99=1e3 * middle(lambda m: m.p99),
        first_event=1e3 * middle(lambda m: m.first_event),
        first_text=1e3 * middle(lambda m: m.first_text),
        between_p50=1e3 * middle(lambda m: m.between_p50),
        between_p95=1e3 * middle(lambda m: m.between_p95),
        between_p99=1e3 * middle(lambda m: m.between_p99),
        cpu=of_programs(lambda m: m.cpu, 1e6),
        gateway_cpu=1e6 * middle(lambda m: m.gateway_cpu),
        rss=of_programs(lambda m: m.rss, 2**-20),
        peak_rss=of_programs(lambda m: m.peak_rss, 2**-20),
        instructions=of_programs(lambda m: m.instructions, 1e-3),
        wrong=sum(m.wrong for m in measured) / sum(m.seen for m in measured),
        faults=faults,
    )
