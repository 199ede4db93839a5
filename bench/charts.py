"""What of a run is drawn: requests/s, CPU for each answer, and the time to the first text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.case import Kind
from bench.plan import Load
from bench.results import Row, rows
from bench.run import Outcome
from bench.svg import Bar, Panel, drawing
from bench.tables import rate
from bench.turn import GATEWAY

_KINDS: Final = {
    Kind.DIRECT.value: "#8c959f",
    Kind.FLOOR.value: "#afb8c1",
    Kind.OURS.value: "#0969da",
    Kind.PEER.value: "#d4822a",
}
_PROGRAMS: Final = dict(zip(GATEWAY, ("#8c959f", "#0969da", "#6f42c1"), strict=True))

_SCALES = "each load has a scale of its own"


def charts(outcome: Outcome) -> Mapping[str, str]:
    """SVG documents by name; none of what was not measured."""
    found = rows(outcome.turns)
    through_something = [row for row in found if row.case.kind is not Kind.DIRECT]
    streams = [row for row in found if row.load.shape.is_stream]
    drawn = {
        "requests": _drawing(f"Answers a second, more is better; {_SCALES}", through_something, _per_second),
        "cpu": _drawing(f"CPU for each answer, less is better; {_SCALES}", found, _cpu, _PROGRAMS),
        "first-text": _drawing(
            f"Time to the first text of a stream, less is better; {_SCALES}", streams, _first_text
        ),
    }
    return {name: svg for name, svg in drawn.items() if svg}


def _drawing(
    title: str,
    found: Sequence[Row],
    bar: Callable[[Row], Bar],
    colours: Mapping[str, str] = _KINDS,
) -> str:
    panels: dict[Load, list[Bar]] = {}
    for row in found:
        panels.setdefault(row.load, []).append(bar(row))
    shown = [Panel(load.title, bars) for load, bars in panels.items()]
    return drawing(title, shown, colours, has_legend=colours is _PROGRAMS) if shown else ""


def _per_second(row: Row) -> Bar:
    return _single(row, row.per_second, rate(row.per_second))


def _first_text(row: Row) -> Bar:
    return _single(row, row.first_text, f"{row.first_text:.1f} ms")


def _cpu(row: Row) -> Bar:
    parts = {name: row.cpu[name] for name in GATEWAY if name in row.cpu}
    return Bar(row.case.title, f"{row.gateway_cpu:.0f} µs", parts)


def _single(row: Row, value: float, told: str) -> Bar:
    wrong = f", {row.wrong:.0%} wrong" if row.wrong else ""
    return Bar(row.case.title, f"{told}{wrong}", {row.case.kind.value: value})
