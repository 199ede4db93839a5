"""The figures of a run as tables in Markdown, which read well on a terminal too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.case import Case, Kind
from bench.plan import Load, Shape
from bench.results import Figure, Row, added, ratio, rows
from bench.run import Outcome
from bench.turn import GATEWAY

_TITLES = {name: name.capitalize() if name == "envoy" else name for name in GATEWAY}
_KEEPER = "keeper"
"""Runs beside workers only."""

_WORDS = 2
"""The first columns are words, the others are numbers."""


def speed(outcome: Outcome) -> str:
    """How many, and how long."""
    header = ("load", "through", "requests/s", "p50 ms", "p99 ms", "wrong answers")
    return table(header, [_speed(row) for row in rows(outcome.turns)])


def streams(outcome: Outcome) -> str:
    """What is of interest in streams only."""
    between = ("between p50", "p95", "p99 ms")
    header = ("load", "through", "events/s", "first event ms", "first text ms", *between)
    return table(header, [_stream(row) for row in rows(outcome.turns) if row.load.shape.is_stream])


def cost(outcome: Outcome) -> str:
    """CPU for each answer, and memory, of each program."""
    found = rows(outcome.turns)
    programs = [name for name in GATEWAY if any(name in row.cpu for row in found)]
    header = ("load", "through", *(f"{_TITLES[p]} CPU µs" for p in programs), "together", "model", "load")
    memory = tuple(f"{_TITLES[p]} MiB (peak)" for p in programs)
    return table((*header, *memory), [_cost(row, programs) for row in found])


def processes(outcome: Outcome) -> str:
    """CPU for each answer, and memory, of each process of a service that has several; empty without such."""
    found = [row for row in rows(outcome.turns) if _KEEPER in row.cpu]
    names = sorted(
        {name for row in found for name in row.cpu if name == _KEEPER or name.startswith("worker ")}
    )
    header = ("load", "through", *(f"{name} CPU µs" for name in names), *(f"{name} MiB" for name in names))

    def line(row: Row) -> tuple[str, ...]:
        memory = [f"{row.rss[name]:.0f}" if name in row.rss else "" for name in names]
        return (*_who(row), *(_micros(row.cpu, name) for name in names), *memory)

    return table(header, [line(row) for row in found]) if found else ""


def instructions(outcome: Outcome) -> str:
    """Thousands of instructions for each answer, and beside the floor; empty when they were not counted."""
    found = [row for row in rows(outcome.turns) if row.instructions]
    programs = [name for name in GATEWAY if any(name in row.instructions for row in found)]
    header = ("load", "through", *(_TITLES[p] for p in programs), "together", "times the floor's")
    return table(header, [_instructions(outcome, row, programs) for row in found]) if found else ""


def ratios(outcome: Outcome) -> str:
    """Every case beside the floor, and what it adds to Envoy alone."""
    plan = outcome.plan
    header = (
        "load",
        "through",
        "of the floor's requests/s",
        "times its CPU",
        "p50 +ms",
        "first event +ms",
        "first text +ms",
        "between p95 +ms",
    )
    cases = [case for case in plan.cases if case.kind is not Kind.DIRECT]
    found = [(load, case) for load in plan.loads for case in cases if (load, case) in outcome.turns]
    return table(header, [_ratio(outcome, load, case) for load, case in found])


def faults(outcome: Outcome) -> str:
    """What was wrong with answers, by load and case; empty when nothing was."""
    found = [row for row in rows(outcome.turns) if row.faults]
    names = sorted({name for row in found for name in row.faults})
    lines = [
        (row.load.title, row.case.title, f"{row.wrong:.0%}", *(str(row.faults.get(n, 0)) for n in names))
        for row in found
    ]
    return table(("load", "through", "of its answers", *names), lines) if found else ""


def micro(outcome: Outcome) -> str:
    """The figures of the micro-benches; empty when there were none."""
    lines = [
        (name, figure.name, f"{figure.value:.4g}", figure.unit)
        for name, figures in outcome.micro.items()
        for figure in figures
    ]
    return table(("part", "what", "figure", "unit"), lines) if lines else ""


def table(header: Sequence[str], lines: Sequence[Sequence[str]], words: int = _WORDS) -> str:
    """A table of which the first `words` columns are words."""
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]

    def row(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) for c, w in zip(cells[:words], widths[:words], strict=True)]
        padded += [c.rjust(w) for c, w in zip(cells[words:], widths[words:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * w) if i < words else ("-" * (w - 1) + ":") for i, w in enumerate(widths)]
    return "\n".join([row(header), f"| {' | '.join(rule)} |", *map(row, lines)])


def rate(per_second: float) -> str:
    """So many a second, to three digits or more."""
    return f"{per_second:.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _speed(row: Row) -> tuple[str, ...]:
    wrong = f"{row.wrong:.0%}" if row.wrong else ""
    return (*_who(row), rate(row.per_second), f"{row.p50:.2f}", f"{row.p99:.2f}", wrong)


def _stream(row: Row) -> tuple[str, ...]:
    is_paced = row.load.shape is Shape.PACED
    between = [f"{ms:.2f}" if is_paced else "" for ms in (row.between_p50, row.between_p95, row.between_p99)]
    events = f"{row.events_per_second:.0f}"
    return (*_who(row), events, f"{row.first_event:.2f}", f"{row.first_text:.2f}", *between)


def _cost(row: Row, programs: Sequence[str]) -> tuple[str, ...]:
    of_each = [_micros(row.cpu, name) for name in programs]
    others = [_micros(row.cpu, name) for name in ("model", "load")]
    memory = [f"{row.rss[n]:.0f} ({row.peak_rss[n]:.0f})" if n in row.rss else "" for n in programs]
    return (*_who(row), *of_each, f"{row.gateway_cpu:.0f}", *others, *memory)


def _instructions(outcome: Outcome, row: Row, programs: Sequence[str]) -> tuple[str, ...]:
    floor = _of_kind(outcome, Kind.FLOOR)
    times = (
        ratio(outcome.turns, row.load, row.case, floor, lambda m: m.gateway_instructions) if floor else None
    )
    together = sum(row.instructions.get(name, 0.0) for name in GATEWAY)
    of_each = [f"{row.instructions[n]:.0f}" if n in row.instructions else "" for n in programs]
    return (*_who(row), *of_each, f"{together:.0f}", "" if times is None else f"{times:.2f}")


def _ratio(outcome: Outcome, load: Load, case: Case) -> tuple[str, ...]:
    direct = _of_kind(outcome, Kind.DIRECT)
    floor = _of_kind(outcome, Kind.FLOOR)
    turns = outcome.turns
    share = ratio(turns, load, case, floor, lambda m: m.per_second) if floor else None
    cpu = ratio(turns, load, case, floor, lambda m: m.gateway_cpu) if floor else None

    def more(figure: Figure, *, is_told: bool = True) -> str:
        time = added(turns, load, case, direct, figure) if direct and is_told else None
        return "" if time is None else f"{time:.2f}"

    is_stream, is_paced = load.shape.is_stream, load.shape is Shape.PACED
    return (
        load.title,
        case.title,
        "" if share is None else f"{share:.0%}",
        "" if cpu is None else f"{cpu:.2f}",
        more(lambda m: m.p50),
        more(lambda m: m.first_event, is_told=is_stream),
        more(lambda m: m.first_text, is_told=is_stream),
        more(lambda m: m.between_p95, is_told=is_paced),
    )


def _of_kind(outcome: Outcome, kind: Kind) -> Case | None:
    return next((case for case in outcome.plan.cases if case.kind is kind), None)


def _who(row: Row) -> tuple[str, str]:
    return row.load.title, row.case.title


def _micros(cpu: Mapping[str, float], name: str) -> str:
    return f"{cpu[name]:.0f}" if name in cpu else ""
