"""Curves go through their points, on axes that begin at 0 and have room for all of them."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from bench.curves import axis, curves
from bench.sizes.bodies import MIB
from bench.sizes.measuring import Sized
from bench.sizes.page import charts, page

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(svg: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(svg).findall(f"{SVG}polyline")
    points = [line.attrib["points"].split() for line in found]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line)] for line in points]


@pytest.mark.parametrize("longest", [0.004, 0.9, 1, 7.5, 8, 8.1, 321.4, 5_000])
def test_an_axis_has_a_few_even_marks_from_0_to_what_is_longest_or_beyond(longest: float) -> None:
    marks = axis("ms", longest).marks
    assert marks[0] == 0
    assert marks[-2] < longest <= marks[-1] * 1.000001
    assert 4 <= len(marks) <= 9
    assert len({round(b - a, 9) for a, b in pairwise(marks)}) == 1


def test_what_grows_with_its_size_is_a_straight_line_and_what_grows_faster_is_none() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0]
    drawn = {"straight": [(x, 10 * x) for x in sizes], "square": [(x, x * x) for x in sizes]}
    straight, square = lines_of(curves("a", drawn, axis("MiB", 8), axis("ms", 80)))
    slopes = [
        {round((by - ay) / (bx - ax), 2) for (ax, ay), (bx, by) in pairwise(line)}
        for line in (straight, square)
    ]
    assert (len(slopes[0]), len(slopes[1])) == (1, 3)


def test_names_of_lines_that_end_together_do_not_cover_one_another() -> None:
    same = {name: [(1.0, 1.0), (8.0, 80.0)] for name in ("one", "two", "three")}
    svg = ElementTree.fromstring(curves("a", same, axis("MiB", 8), axis("ms", 80)))
    places = [float(text.attrib["y"]) for text in svg.findall(f"{SVG}text") if text.text in same]
    assert len(places) == 3
    assert min(b - a for a, b in pairwise(sorted(places))) >= 15


def test_the_page_of_sizes_shows_time_and_cpu_of_each_kind_by_size() -> None:
    sizes = [
        Sized(kind, size * MIB, p50=0.04 * size, cpu=0.03 * size, memory=0, late=0.0, own=0.0)
        for kind in ("prompt", "answer")
        for size in (1, 8)
    ]
    drawn = charts(sizes)
    assert {name: len(lines_of(svg)) for name, svg in drawn.items()} == {"time": 2, "cpu": 2}
    files = {name: f"sizes-{name}.svg" for name in drawn}
    told = page(sizes, None, machine={}, day="2026-01-01", times=1, drawn=files)
    assert all(f"]({file})" in told for file in files.values())
