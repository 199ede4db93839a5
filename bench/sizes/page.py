"""What was measured of sizes, for the terminal and as a page of the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.curves import Point, axis, curves
from bench.sizes.bodies import KIB, MIB
from bench.sizes.measuring import Beside, Sized
from bench.tables import table

LONGEST_STALL: Final = 0.05
"""Seconds that the event loop may be late by the service's own doing."""

MOST_TIMES_LINEAR: Final = 1.5
"""CPU for each MiB of the largest, beside that of 1 MiB."""

_INTRODUCTION = """\
# Long prompts and answers

What requests and answers up to 8 MiB take, and what small requests beside them notice. Written by
`make bench-sizes BENCH_ARGS="--markdown FILE"`."""

_ABOUT = """\
`authz serve` on SQLite behind Envoy, with ten rules for requests and one for answers, every detector, an
address masked every 2,000 characters, and every step committed before it takes effect; the load, the model
server, Envoy and the service share the machine. A *prompt* is one message, a *conversation* many of 2 KiB
(128k tokens are some 500 KiB), an *answer* one message for a small request. CPU is the service's, with what
it does afterwards. Memory is the most that it took above what it had before, for one at a time.

*Late* is the longest that a turn of the event loop was late, of one that was wanted every 5 ms; *own* is how
much of that the service itself had a CPU, which is what others on the same worker wait for on a machine with
nothing else to do."""


_DRAWN: Final = {
    "time": "Time of a request through the gateway, by its size or that of its answer",
    "cpu": "CPU of the service for a request, by its size or that of its answer",
}


def page(
    sizes: Sequence[Sized],
    fair: Beside | None,
    *,
    machine: Mapping[str, str],
    day: str,
    times: int,
    drawn: Mapping[str, str],
) -> str:
    """The page; `drawn` are the file names of `charts`, by name."""
    where = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    how = f"{day}; the median of {times} requests, one after another."
    parts = [_INTRODUCTION, f"## Where\n\n{how}\n\n{where}", f"## What was measured\n\n{_ABOUT}"]
    images = [f"![{_DRAWN[name]}]({file})" for name, file in drawn.items()]
    return (
        "\n\n".join([*parts, "## Sizes", *images, curve(sizes), *_fairness(fair), _aims(sizes, fair)]) + "\n"
    )


def charts(sizes: Sequence[Sized]) -> Mapping[str, str]:
    """SVG documents by name: how the time and the CPU of each kind grow with its size."""
    return {
        "time": _chart("time", [(each.kind, (each.size / MIB, each.p50 * 1e3)) for each in sizes]),
        "cpu": _chart("cpu", [(each.kind, (each.size / MIB, each.cpu * 1e3)) for each in sizes]),
    }


def _chart(name: str, points: Sequence[tuple[str, Point]]) -> str:
    lines: dict[str, list[Point]] = {}
    for kind, point in points:
        lines.setdefault(kind, []).append(point)
    largest = max(size for _, (size, _) in points)
    longest = max(taken for _, (_, taken) in points)
    return curves(_DRAWN[name], lines, axis("MiB", largest), axis("ms", longest))


def on_terminal(sizes: Sequence[Sized], fair: Beside | None) -> str:
    """The tables."""
    return "\n\n".join([curve(sizes), *_fairness(fair), _aims(sizes, fair)])


def curve(sizes: Sequence[Sized]) -> str:
    """A line for each kind and size."""
    header = ("what", "size", "ms", "CPU ms", "CPU ms a MiB", "memory MiB", "late ms", "own ms")
    return table(header, [_line(each) for each in sizes])


def _line(each: Sized) -> tuple[str, ...]:
    return (
        each.kind,
        _size(each.size),
        f"{each.p50 * 1e3:.1f}",
        f"{each.cpu * 1e3:.1f}",
        f"{each.cpu_per_mib * 1e3:.1f}",
        f"{each.memory / MIB:.0f}",
        f"{each.late * 1e3:.0f}",
        f"{each.own * 1e3:.0f}",
    )


def _fairness(fair: Beside | None) -> list[str]:
    if fair is None:
        return []
    header = ("1 KiB requests", "how many", "p50 ms", "p99 ms", "longest ms")
    beside = f"beside {fair.large} of {_size(fair.size)}"
    lines = [_times("alone", fair.alone), _times(beside, fair.beside)]
    ratio = _at(fair.beside, 0.5) / _at(fair.alone, 0.5)
    told = (
        f"The {fair.large} large ones took {fair.seconds:.1f} s together and {fair.memory / MIB:.0f} MiB; "
        f"half of the small ones took {ratio:.1f} times as long as alone or less. The event loop was late by "
        f"{fair.late * 1e3:.0f} ms at most, {fair.own * 1e3:.0f} of them its own."
    )
    return [f"## Small ones beside large ones\n\n{table(header, lines, words=1)}\n\n{told}"]


def _times(name: str, taken: Sequence[float]) -> tuple[str, ...]:
    figures = [f"{_at(taken, part) * 1e3:.1f}" for part in (0.5, 0.99, 1.0)]
    return (name, str(len(taken)), *figures)


def _at(taken: Sequence[float], part: float) -> float:
    return taken[min(len(taken) - 1, int(len(taken) * part))]


def _aims(sizes: Sequence[Sized], fair: Beside | None) -> str:
    said = [_verdict(f"{kind}: {aim}", reached, is_met) for kind, aim, reached, is_met in _linear(sizes)]
    stalls = [each.own for each in sizes] + ([fair.own] if fair else [])
    longest = max(stalls, default=0.0)
    aim = f"no turn of the event loop late by more than {LONGEST_STALL * 1e3:.0f} ms of its own"
    said.append(_verdict(aim, f"{longest * 1e3:.0f} ms", longest <= LONGEST_STALL))
    return "## Aims\n\n" + "\n".join(said)


def _linear(sizes: Sequence[Sized]) -> list[tuple[str, str, str, bool]]:
    found = []
    for kind in dict.fromkeys(each.kind for each in sizes):
        base = next((each for each in sizes if each.kind == kind and each.size == MIB), None)
        last = max((each for each in sizes if each.kind == kind), key=lambda each: each.size)
        if base is not None and last.size > MIB:
            times = last.cpu_per_mib / base.cpu_per_mib
            aim = f"CPU a MiB at {_size(last.size)} at most {MOST_TIMES_LINEAR:g} times that at 1 MiB"
            found.append((kind, aim, f"{times:.2f} times", times <= MOST_TIMES_LINEAR))
    return found


def _verdict(aim: str, reached: str, is_met: bool) -> str:
    return f"- {'reached' if is_met else '**missed**'}: {aim}: {reached}"


def _size(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"
