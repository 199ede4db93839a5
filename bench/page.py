"""Says what was measured: a table for the terminal, a page for the documentation, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from bench.aims import Verdict, verdicts
from bench.plan import MANY, TITLES, Case, Load, Shape
from bench.results import Row, added, ratio, rows, wrong
from bench.run import Outcome
from bench.traffic import DELTAS, PACED_DELTAS

_HEADER = (
    "load",
    "through",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "first event ms",
    "first text ms",
    "Envoy CPU µs",
    "service CPU µs",
)

_INTRODUCTION = f"""\
# Benchmarks

What the gateway costs, measured by `make bench` on one machine, on which the load, the model server,
Envoy and the service share the CPUs. Written by `python -m bench --markdown docs/benchmarks.md`.

Three ways to the same model server, which answers at once:

- **{TITLES[Case.DIRECT]}**: `envoy/envoy.yaml` with its filters off, straight to the model.
- **{TITLES[Case.FLOOR]}** (the floor): the same Envoy and a Python service that exchanges the same
  messages with it and looks at nothing. Any service of this kind costs this much.
- **{TITLES[Case.SQLITE]}**: `authz serve` with ten rules for requests and one for answers, every
  detector, an address masked in each request and each answer, and every step committed before it
  takes effect.

Requests have about 1 KB. *Whole* answers have about 1 KB; *streamed* ones are {DELTAS} tokens as fast as
they can be written; *paced* ones {PACED_DELTAS} tokens, one every 20 ms, the first after 20 ms.
*First event* is when the first event has arrived, *first text* the first event with a word in it: a word
is held back until it is known to be no part of an address, which takes the token behind it. CPU is for
each request. Every figure is the median over rounds in which the cases took turns.
"""

_BOUND = """\
What bounds requests/s is the CPU of one Python process. Beyond the exchange of messages it reads, scans,
judges, masks and records every byte:"""

_RATIOS = """\
Medians over the rounds of what each round gave; times are those of the median request, for paced answers
those to the first event."""


def table(outcome: Outcome) -> str:
    """All figures, as a table in Markdown that reads well on a terminal too."""
    return _table(_HEADER, [_cells(row) for row in rows(outcome.turns)])


def ratios(outcome: Outcome) -> str:
    """This service beside the floor, and what both add to Envoy alone, as a table."""
    header = ("load", "service", "of the floor's requests/s", "added by it", "added by the floor")
    cases = [case for case in outcome.plan.cases if case.is_ours]
    lines = [_ratio_cells(outcome, load, case) for load in outcome.plan.loads for case in cases]
    return _table(header, lines)


def aims(found: Sequence[Verdict]) -> str:
    """One line for each aim: reached or missed."""
    return "\n".join(
        f"- {'reached' if v.is_met else '**missed**'}: {TITLES[v.case]}, {v.aim}: {v.reached}" for v in found
    )


def where_it_goes(outcome: Outcome) -> str:
    """How much more CPU this service takes than the floor, in sentences: that is what bounds requests/s."""
    found = [
        f"{TITLES[case]}, {load.title}: {times:.1f} times the floor's CPU for each request"
        for load in outcome.plan.loads
        for case in outcome.plan.cases
        if case.is_ours and load.connections == MANY
        for times in (ratio(outcome.turns, load, case, Case.FLOOR, lambda m: m.cpu.get("service", 0.0)),)
        if times is not None
    ]
    return "\n".join(f"- {line}" for line in found)


def page(outcome: Outcome, *, day: str) -> str:
    """docs/benchmarks.md."""
    plan = outcome.plan
    machine = "\n".join(f"- {name}: {value}" for name, value in outcome.machine.items())
    how = f"{plan.rounds} rounds, {plan.seconds:g} s for each turn after {plan.warm_up:g} s of warming up"
    parts = [
        _INTRODUCTION,
        f"## Where\n\n{day}; {how}; {wrong(outcome.turns)} wrong answers.\n\n{machine}",
        f"## Figures\n\n{table(outcome)}",
        f"## Ratios\n\n{_RATIOS}\n\n{ratios(outcome)}",
        f"## Aims\n\n{aims(verdicts(outcome.turns))}\n\n{_BOUND}\n\n{where_it_goes(outcome)}",
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def as_json(outcome: Outcome) -> str:
    """Every turn of every round, times in seconds."""
    turns = [
        {"load": load.name, "case": case, "round": number, **dataclasses.asdict(measured)}
        for (load, case), all_measured in outcome.turns.items()
        for number, measured in enumerate(all_measured, start=1)
    ]
    found = [dataclasses.asdict(verdict) for verdict in verdicts(outcome.turns)]
    return json.dumps({"machine": outcome.machine, "turns": turns, "aims": found}, indent=1)


def _cells(row: Row) -> tuple[str, ...]:
    is_stream = row.load.shape is not Shape.WHOLE
    return (
        row.load.title,
        TITLES[row.case],
        f"{row.per_second:.0f}",
        f"{row.p50:.2f}",
        f"{row.p99:.2f}",
        f"{row.first_event:.2f}" if is_stream else "",
        f"{row.first_text:.2f}" if is_stream else "",
        f"{row.envoy_cpu:.0f}",
        f"{row.service_cpu:.0f}" if row.service_cpu is not None else "",
    )


def _ratio_cells(outcome: Outcome, load: Load, case: Case) -> tuple[str, ...]:
    share = ratio(outcome.turns, load, case, Case.FLOOR, lambda m: m.per_second)
    is_paced = load.shape is Shape.PACED
    times = [
        added(outcome.turns, load, c, Case.DIRECT, lambda m: m.first_event if is_paced else m.p50)
        for c in (case, Case.FLOOR)
    ]
    shown = ["" if time is None else f"{time:.2f} ms" for time in times]
    return (load.title, TITLES[case], "" if share is None else f"{share:.0%}", *shown)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    words = 2  # the first two columns are words, the others are numbers

    def row(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) for c, w in zip(cells[:words], widths[:words], strict=True)]
        padded += [c.rjust(w) for c, w in zip(cells[words:], widths[words:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * w) if i < words else ("-" * (w - 1) + ":") for i, w in enumerate(widths)]
    return "\n".join([row(header), row(rule), *map(row, lines)])
