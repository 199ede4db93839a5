"""The charts show every case of every load, to scale, and what was wrong beside the speed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from xml.etree import ElementTree

from bench.case import Case, Gateway, Kind, Site
from bench.charts import charts
from bench.plan import Load, Plan, Shape
from bench.run import Outcome
from bench.turn import Measured

SVG = "{http://www.w3.org/2000/svg}"
WHOLE, PACED = Load(Shape.WHOLE, 1), Load(Shape.PACED, 1)


def nowhere(_site: Site) -> AbstractContextManager[Gateway]:
    raise NotImplementedError


DIRECT = Case("direct", "Envoy alone", "", Kind.DIRECT, nowhere)
OURS = Case("ours", "this <service> & more", "", Kind.OURS, nowhere)
PEER = Case("peer", "somebody else's", "", Kind.PEER, nowhere)


def test_every_case_is_drawn_where_a_peer_wins_too() -> None:
    words, boxes = drawn("requests", {OURS: measured(50), PEER: measured(200, wrong=3)})
    assert words.count(OURS.title) == words.count(PEER.title) == 2
    assert words.count(WHOLE.title) == words.count(PACED.title) == 1
    assert words.count("200, 75% wrong") == 2
    assert [round(box / boxes[1], 2) for box in boxes] == [0.25, 1, 0.25, 1]


def test_the_cpu_of_each_program_is_a_part_of_its_bar() -> None:
    words, boxes = drawn("cpu", {DIRECT: measured(9, service=None), OURS: measured(9, service=0.003)})
    legend, bars = boxes[:3], boxes[3:]
    assert legend == [14, 14, 14]
    assert [round(box / bars[0], 2) for box in bars] == [1, 1, 3, 1, 1, 3]
    assert words.count("4000 µs") == 2
    assert {"envoy", "service", "database"} <= set(words)


def test_the_first_text_is_drawn_for_streams_only() -> None:
    words, boxes = drawn("first-text", {OURS: measured(9), PEER: measured(9)})
    assert WHOLE.title not in words
    assert words.count("20.0 ms") == len(boxes) == 2


def test_what_was_not_measured_is_not_drawn() -> None:
    turns = {(WHOLE, DIRECT): [measured(9)]}
    assert set(charts(Outcome(Plan(cases=(DIRECT,)), {}, turns, {}, {}))) == {"cpu"}


def drawn(name: str, figures: dict[Case, Measured]) -> tuple[list[str], list[float]]:
    """The texts, and the widths of all boxes but the ground."""
    turns = {(load, case): [turn] for load in (WHOLE, PACED) for case, turn in figures.items()}
    svg = ElementTree.fromstring(charts(Outcome(Plan(cases=tuple(figures)), {}, turns, {}, {}))[name])
    for box in svg.findall(f"{SVG}rect")[1:]:
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= float(svg.attrib["width"])
    boxes = [float(box.attrib["width"]) for box in svg.findall(f"{SVG}rect")[1:]]
    return [text.text or "" for text in svg.findall(f"{SVG}text")], boxes


def measured(requests: int, *, wrong: int = 0, service: float | None = 0.001) -> Measured:
    cpu = {"envoy": 0.001} | ({"service": service} if service else {})
    return Measured(
        requests=requests,
        seen=4,
        wrong=wrong,
        seconds=1.0,
        p50=0.001,
        p99=0.001,
        first_event=0.01,
        first_text=0.02,
        between_p50=0.02,
        between_p95=0.02,
        between_p99=0.02,
        cpu=cpu,
        rss={},
        peak_rss={},
        instructions={},
        faults={"failed": wrong} if wrong else {},
    )
