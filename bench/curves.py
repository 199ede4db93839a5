"""Lines through points as an SVG file that needs nothing beside it; both axes begin at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.svg import document, words

_WIDTH: Final = 940
_HEIGHT: Final = 420
_LEFT: Final = 70
_RIGHT: Final = 810
_TOP: Final = 50
_BOTTOM: Final = 370
_COLOURS: Final = ("#0969da", "#d4822a", "#6f42c1", "#1a7f37")
_GRID: Final = "#d0d7de"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What it measures, and where it is marked; it ends with the last mark."""

    title: str
    marks: Sequence[float]


def curves(title: str, lines: Mapping[str, Sequence[Point]], x: Axis, y: Axis) -> str:
    """Each line by its name, which stands beside its last point; raises `ValueError` for one too many."""
    drawn = [words(10, 24, title, weight="bold", size=16), *_along(x), *_up(y)]
    ends: list[float] = []
    for (name, points), colour in zip(lines.items(), _COLOURS[: len(lines)], strict=True):
        places = [(_at(px, x, _LEFT, _RIGHT), _at(py, y, _BOTTOM, _TOP)) for px, py in sorted(points)]
        drawn += _line(places, colour)
        drawn.append(words(places[-1][0] + 10, _free(places[-1][1] + 4, ends), name))
    return document(title, drawn, width=_WIDTH, height=_HEIGHT)


def axis(title: str, longest: float) -> Axis:
    """With four to eight marks, the last of them at `longest` or beyond it."""
    step = 10.0**-3
    for times in (2, 2.5, 2) * 8:
        if longest <= 8 * step:
            break
        step *= times
    number = max(1, -int(-longest // step))
    return Axis(title, [step * mark for mark in range(number + 1)])


def _line(places: Sequence[Point], colour: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _along(x: Axis) -> list[str]:
    drawn = [words(_RIGHT, _BOTTOM + 40, x.title, anchor="end")]
    for mark in x.marks:
        at = _at(mark, x, _LEFT, _RIGHT)
        drawn += [_rule(at, _TOP, at, _BOTTOM), words(at, _BOTTOM + 18, f"{mark:g}", anchor="middle")]
    return drawn


def _up(y: Axis) -> list[str]:
    drawn = [words(10, _TOP - 8, y.title)]
    for mark in y.marks:
        at = _at(mark, y, _BOTTOM, _TOP)
        drawn += [_rule(_LEFT, at, _RIGHT, at), words(_LEFT - 8, at + 4, f"{mark:g}", anchor="end")]
    return drawn


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_GRID}"/>'


def _at(value: float, along: Axis, start: float, end: float) -> float:
    return start + (end - start) * value / along.marks[-1]


def _free(wanted: float, taken: list[float]) -> float:
    """The place for a name that is nearest above or below where it belongs, and covers no other."""
    places = sorted((wanted + 15 * step for step in range(-8, 9)), key=lambda place: abs(place - wanted))
    found = next((place for place in places if all(abs(place - other) >= 15 for other in taken)), wanted)
    taken.append(found)
    return found
